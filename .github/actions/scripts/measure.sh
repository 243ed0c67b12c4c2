#!/usr/bin/env bash
# Runs `bench-diff ci` without a token and names what it wrote.
set -euo pipefail

action=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../../.." && pwd)
. "$action/.github/actions/scripts/fail.sh"

args=(ci --output "$INPUT_RESULTS" --no-publish --source "$action")
[[ -z "$INPUT_CONFIG" ]] || args+=(--config "$INPUT_CONFIG")
[[ -z "$INPUT_SUITE" ]] || args+=(--suite "$INPUT_SUITE")
[[ -z "$INPUT_GPUS" ]] || args+=(--gpus "$INPUT_GPUS")
[[ -z "$INPUT_BASELINE" ]] || args+=(--baseline "$INPUT_BASELINE")
[[ -z "$INPUT_HEAD_BINARY" ]] || args+=(--head-binary "$INPUT_HEAD_BINARY")
[[ -z "$INPUT_BASE_BINARY" ]] || args+=(--base-binary "$INPUT_BASE_BINARY")
# The command that built the head builds the base as well.
[[ -z "$INPUT_BUILD_COMMAND" || -z "$INPUT_HEAD_BINARY" || -n "$INPUT_BASE_BINARY" ]] ||
  args+=(--build-command "$INPUT_BUILD_COMMAND")
if [[ -n "$BASE_COMMIT" ]]; then
  args+=(--base-commit "$BASE_COMMIT")
  [[ -z "$MERGE_BASE" ]] || args+=(--merge-base "$MERGE_BASE")
elif [[ -n "$INPUT_BASE_REF" ]]; then
  args+=(--base-ref "$INPUT_BASE_REF")
fi
[[ -z "$INPUT_CANDLE" ]] || args+=(--candle "$INPUT_CANDLE")
[[ -z "$INPUT_CONFIRM_BUDGET" ]] || args+=(--confirm-budget "$INPUT_CONFIRM_BUDGET")
# shellcheck disable=SC2153 # action.yml sets it
case "$INPUT_CONFIRM" in
  auto) ;;
  never) args+=(--no-confirm) ;;
  *) fail "the confirm input is neither auto nor never: $INPUT_CONFIRM" ;;
esac

[[ "$INPUT_TIMEOUT" =~ ^[1-9][0-9]*$ ]] || fail "the timeout input is not a number of minutes: $INPUT_TIMEOUT"
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
# 137: it had to be killed.
[[ "$status" != 124 && "$status" != 137 ]] ||
  fail "measuring took longer than the timeout input allows: $INPUT_TIMEOUT minutes" "$status"
exit "$status"
