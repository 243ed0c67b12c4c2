#!/bin/bash -p
# Runs `bench-diff publish`. Its exit code is the gate; a comment that GitHub refuses is only a warning.
set -euo pipefail

# shellcheck source=.github/actions/scripts/fail.sh
. "$GITHUB_ACTION_PATH/../scripts/fail.sh"
shopt -s globstar nullglob
reports=("$RESULTS"/results/**/report.json)
((${#reports[@]})) || fail "nothing was measured: the measuring job uploaded no report as $INPUT_ARTIFACT_NAME; see its log"

args=(publish --results "$RESULTS/results" --comment "$INPUT_COMMENT" --fail-on "$INPUT_FAIL_ON"
  --if-no-baseline "$INPUT_IF_NO_BASELINE" --summary "$RESULTS/summary.md")
[[ -z "$INPUT_PR_NUMBER" ]] || args+=(--pr-number "$INPUT_PR_NUMBER")
[[ "$INPUT_CHECK_RUN" == true ]] || args+=(--no-check-run)

# Where there is no pull request, the comment is in the summary: the log stays short.
exec "$GITHUB_ACTION_PATH/../scripts/with-token.sh" "${args[@]}" > /dev/null
