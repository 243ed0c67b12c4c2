#!/usr/bin/env bash
# Runs `bench-diff publish` without a token: summary, annotations, outputs, and the exit code.
set -euo pipefail

exec env -u GITHUB_TOKEN "$BENCH_DIFF" publish --results "$RESULTS" --comment never --no-check-run \
  --fail-on "$WITH_FAIL_ON" --if-no-baseline "$WITH_IF_NO_BASELINE" --summary "$RESULTS/summary.md" > /dev/null
