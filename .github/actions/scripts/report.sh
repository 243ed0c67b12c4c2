#!/usr/bin/env bash
# Runs `bench-diff publish` without a token: summary, annotations, outputs, and the exit code.
set -euo pipefail

if [[ -n "$REPORT" ]]; then
  what=(--results "$RESULTS") summary=(--summary "$RESULTS/summary.md")
else
  what=(--failed "there is no report: see the log of the step that measures") summary=()
fi
exec env -u GITHUB_TOKEN "$BENCH_DIFF" publish "${what[@]}" --comment never --no-check-run \
  --fail-on "$WITH_FAIL_ON" --if-no-baseline "$WITH_IF_NO_BASELINE" "${summary[@]}" > /dev/null
