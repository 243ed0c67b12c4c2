#!/bin/bash -p
# Runs bench-diff with the token, in an environment that is made here: what other steps of the job may have left for
# this one (a path, settings of git, certificates) reaches neither it nor git. Needs BENCH_DIFF and TOKEN.
set -euo pipefail

clean=(PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8)
for name in HOME TMPDIR HTTPS_PROXY https_proxy NO_PROXY no_proxy GITHUB_ACTIONS GITHUB_API_URL GITHUB_SERVER_URL \
  GITHUB_REPOSITORY GITHUB_EVENT_NAME GITHUB_EVENT_PATH GITHUB_RUN_ID GITHUB_RUN_ATTEMPT GITHUB_OUTPUT \
  GITHUB_STEP_SUMMARY; do
  [[ -z "${!name:-}" ]] || clean+=("$name=${!name}")
done
# Through a pipe: arguments can be read by everybody on the machine.
# shellcheck disable=SC2016 # the inner shell expands it
exec /usr/bin/env -i "${clean[@]}" /bin/bash --noprofile --norc -pc \
  'IFS= read -r GITHUB_TOKEN || true; export GITHUB_TOKEN; exec "$@" < /dev/null' bash "$BENCH_DIFF" "$@" \
  < <(printf '%s\n' "$TOKEN")
