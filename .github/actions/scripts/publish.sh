#!/bin/bash -p
# Runs `bench-diff publish`. Its exit code is the gate; a comment that GitHub refuses is only a warning.
set -euo pipefail

# shellcheck source=.github/actions/scripts/fail.sh
. "$GITHUB_ACTION_PATH/../scripts/fail.sh"
shopt -s globstar nullglob
reports=("$RESULTS"/results/**/report.json)
((${#reports[@]})) || fail "nothing was measured: the measuring job uploaded no report as $WITH_ARTIFACT_NAME; see its log"

args=(publish --results "$RESULTS/results" --comment "$WITH_COMMENT" --fail-on "$WITH_FAIL_ON"
  --if-no-baseline "$WITH_IF_NO_BASELINE" --summary "$RESULTS/summary.md")
[[ -z "$WITH_PR_NUMBER" ]] || args+=(--pr-number "$WITH_PR_NUMBER")
[[ "$WITH_CHECK_RUN" == true ]] || args+=(--no-check-run)

# Where there is no pull request, the comment is in the summary: the log stays short.
exec "$GITHUB_ACTION_PATH/../scripts/with-token.sh" "${args[@]}" > /dev/null
