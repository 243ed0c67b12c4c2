#!/bin/bash -p
# Runs `bench-diff publish`. Its exit code is the gate; a comment that GitHub refuses is only a warning.
set -euo pipefail

shopt -s globstar nullglob
reports=("$RESULTS"/results/**/report.json)

args=(--comment "$WITH_COMMENT" --fail-on "$WITH_FAIL_ON" --if-no-baseline "$WITH_IF_NO_BASELINE"
  --summary "$RESULTS/summary.md")
[[ -z "$WITH_PR_NUMBER" ]] || args+=(--pr-number "$WITH_PR_NUMBER")
[[ "$WITH_CHECK_RUN" == true ]] || args+=(--no-check-run)

# Where there is no pull request, the comment is in the summary: the log stays short.
publish() {
  "$GITHUB_ACTION_PATH/../scripts/with-token.sh" publish "$@" "${args[@]}" > /dev/null
}

# An earlier run's verdict must not stay as if it were of this commit.
if ((!${#reports[@]})); then
  why="the measuring job uploaded no report as $WITH_ARTIFACT_NAME; see its log"
  [[ "$DOWNLOADED" != failure ]] || why="$WITH_ARTIFACT_NAME could not be downloaded; see this job's log"
  publish --failed "$why"
  exit
fi
status=0
publish --results "$RESULTS/results" || status=$?
# 2: what was uploaded can't be used. What it did tell stays.
[[ "$status" != 2 ]] || publish --failed "the measuring job uploaded no report that can be used; see this job's log" || true
exit "$status"
