// Cuts GitHub's published OpenAPI description to the operations that bench-diff uses: the whole takes a minute to load.
// Usage: node slim.mjs api.github.com.json > slim.json
import { readFileSync } from 'node:fs';

const api = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const used = [
  '/user',
  '/repos/{owner}/{repo}/issues/{issue_number}/comments',
  '/repos/{owner}/{repo}/issues/comments/{comment_id}',
  '/repos/{owner}/{repo}/pulls',
  '/repos/{owner}/{repo}/pulls/{pull_number}',
  '/repos/{owner}/{repo}/compare/{basehead}',
  '/repos/{owner}/{repo}/collaborators/{username}/permission',
  '/repos/{owner}/{repo}/commits/{ref}/check-runs',
  '/repos/{owner}/{repo}/check-runs',
  '/repos/{owner}/{repo}/check-runs/{check_run_id}',
];
const paths = Object.fromEntries(used.map((path) => [path, api.paths[path]]));
const components = {};

function keep(value) {
  if (Array.isArray(value)) return value.forEach(keep);
  if (value === null || typeof value !== 'object') return;
  if (typeof value.$ref === 'string') {
    const [, , kind, name] = value.$ref.split('/');
    components[kind] ??= {};
    if (!(name in components[kind])) {
      components[kind][name] = api.components[kind][name];
      keep(components[kind][name]);
    }
  }
  Object.values(value).forEach(keep);
}

keep(paths);
process.stdout.write(JSON.stringify({ openapi: api.openapi, info: api.info, paths, components }));
