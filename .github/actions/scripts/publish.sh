#!/usr/bin/env bash
# Runs `bench-diff publish`. Its exit code is the gate; a comment that GitHub refuses is only a warning.
set -euo pipefail

args=(publish --results "$RESULTS" --comment "$INPUT_COMMENT" --fail-on "$INPUT_FAIL_ON"
  --if-no-baseline "$INPUT_IF_NO_BASELINE" --summary "$RESULTS/summary.md")
[[ -z "$INPUT_PR_NUMBER" ]] || args+=(--pr-number "$INPUT_PR_NUMBER")
[[ "$INPUT_CHECK_RUN" == true ]] || args+=(--no-check-run)

# Where there is no pull request, the comment is in the summary: the log stays short.
exec "$BENCH_DIFF" "${args[@]}" > /dev/null
