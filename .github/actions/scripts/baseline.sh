#!/usr/bin/env bash
# Adds what another job measured to the baselines of the default branch, in a pull request; one that is open already is
# added to. Needs BENCH_DIFF, RESULTS, DEFAULT_BRANCH and GH_TOKEN.
set -euo pipefail

scripts=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=.github/actions/scripts/fail.sh
. "$scripts/fail.sh"
# shellcheck source=.github/actions/scripts/branch.sh
. "$scripts/branch.sh"

shopt -s globstar nullglob
results=("$RESULTS"/**/results.json)
((${#results[@]})) || fail "nothing was measured: the measuring job uploaded no results as $WITH_ARTIFACT_NAME; see its log"
update=(baseline update)
[[ "$WITH_REPLACE" != true ]] || update+=(--replace)

branch=bench-diff-baselines
from="$DEFAULT_BRANCH"
as_the_bot
! has_pull_request "$branch" || from="$branch"
git fetch --quiet --depth=1 origin "$from"
git switch --quiet --force-create "$branch" FETCH_HEAD
env -u GH_TOKEN "$BENCH_DIFF" "${update[@]}" "${results[@]}" ||
  fail "the baselines stay as they are: see why in the log. If a change of speed was merged, run this workflow once with replace"
git add baselines
if git diff --cached --quiet; then
  echo "the baselines have these sessions already"
  exit 0
fi
git commit --quiet --message "Baselines: a session of $DEFAULT_BRANCH"
git push --quiet --force origin "$branch"
propose "$branch" "$DEFAULT_BRANCH" "Baselines of $DEFAULT_BRANCH" \
  "Sessions of $DEFAULT_BRANCH, measured on a schedule. Later ones are added here until this is merged. Sessions of five occasions, at least six hours apart, tell a change from drift."
