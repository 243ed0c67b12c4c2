#!/usr/bin/env bash
# Runs `bench-diff ci` without a token and names what it wrote.
set -euo pipefail

args=(ci --output "$INPUT_RESULTS" --comment never --fail-on never)
[[ -z "$INPUT_CONFIG" ]] || args+=(--config "$INPUT_CONFIG")
[[ -z "$INPUT_SUITE" ]] || args+=(--suite "$INPUT_SUITE")
[[ -z "$INPUT_GPUS" ]] || args+=(--gpus "$INPUT_GPUS")
[[ -z "$INPUT_BASELINE" ]] || args+=(--baseline "$INPUT_BASELINE")
[[ -z "$INPUT_HEAD_BINARY" ]] || args+=(--head-binary "$INPUT_HEAD_BINARY")
[[ -z "$INPUT_BASE_BINARY" ]] || args+=(--base-binary "$INPUT_BASE_BINARY")
[[ -z "$INPUT_CANDLE" ]] || args+=(--candle "$INPUT_CANDLE")
# shellcheck disable=SC2153 # action.yml sets it
[[ "$INPUT_CONFIRM" == auto ]] || args+=(--confirm "$INPUT_CONFIRM")

status=0
env -u GITHUB_TOKEN timeout --signal INT --kill-after 60 "${INPUT_TIMEOUT}m" "$BENCH_DIFF" "${args[@]}" > /dev/null ||
  status=$?

# What there is is published and uploaded, also after a failure.
directory=$(realpath -- "$INPUT_RESULTS" 2> /dev/null) || directory=''
if [[ -d "$directory" && "$directory" != *$'\n'* ]]; then
  echo "directory=$directory" >> "$GITHUB_OUTPUT"
  [[ ! -f "$directory/results.json" ]] || echo "results=$directory/results.json" >> "$GITHUB_OUTPUT"
  [[ ! -f "$directory/report.json" ]] || echo "report=$directory/report.json" >> "$GITHUB_OUTPUT"
fi
if [[ "$status" == 124 ]]; then
  echo "::error title=bench-diff::measuring took longer than the timeout input allows"
fi
exit "$status"
