#!/usr/bin/env bash
# Runs `bench-diff ci` without a token and names what it wrote. After a step that failed, the report says just that.
set -euo pipefail

action=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../../.." && pwd)
. "$action/.github/actions/scripts/fail.sh"

# The report's Markdown comes later. Until then, none of an earlier run counts.
rm -f -- "$WITH_RESULTS/summary.md"

args=(ci --output "$WITH_RESULTS" --no-publish --source "$action")
[[ -z "$WITH_CONFIG" ]] || args+=(--config "$WITH_CONFIG")
[[ -z "$WITH_SUITE" ]] || args+=(--suite "$WITH_SUITE")
[[ -z "$WITH_GPUS" ]] || args+=(--gpus "$WITH_GPUS")
[[ -z "$WITH_BASELINE" ]] || args+=(--baseline "$WITH_BASELINE")
[[ -z "$WITH_HEAD_BINARY" ]] || args+=(--head-binary "$WITH_HEAD_BINARY")
[[ -z "$WITH_BASE_BINARY" ]] || args+=(--base-binary "$WITH_BASE_BINARY")
# The command that built the head builds the base as well.
[[ -z "$WITH_BUILD_COMMAND" || -z "$WITH_HEAD_BINARY" || -n "$WITH_BASE_BINARY" ]] ||
  args+=(--build-command "$WITH_BUILD_COMMAND")
read -r -d '' -a names <<< "$WITH_BUILD_ENV" || true
for name in "${names[@]}"; do
  args+=(--build-env "$name")
done
if [[ -n "$BASE_COMMIT" ]]; then
  args+=(--base-commit "$BASE_COMMIT")
  [[ -z "$MERGE_BASE" ]] || args+=(--merge-base "$MERGE_BASE")
elif [[ -n "$WITH_BASE_REF" ]]; then
  args+=(--base-ref "$WITH_BASE_REF")
fi
[[ -z "$WITH_CANDLE" ]] || args+=(--candle "$WITH_CANDLE")
[[ "$WITH_ALLOW_UNRELATED" != true ]] || args+=(--allow-unrelated)
[[ -z "$WITH_CONFIRM_BUDGET" ]] || args+=(--confirm-budget "$WITH_CONFIRM_BUDGET")
[[ -z "$WITH_TRACE_BUDGET" ]] || args+=(--trace-budget "$WITH_TRACE_BUDGET")
# shellcheck disable=SC2153 # action.yml sets it
case "$WITH_CONFIRM" in
  auto) ;;
  never) args+=(--no-confirm) ;;
  *) fail "the confirm input is neither auto nor never: $WITH_CONFIRM" ;;
esac

if [[ "$BASE_OUTCOME" == failure ]]; then
  args+=(--failed "the step that looks for the base failed")
elif [[ "$BUILD_OUTCOME" == failure ]]; then
  args+=(--failed "the build command failed")
fi

[[ "$WITH_TIMEOUT" =~ ^[1-9][0-9]*$ ]] || fail "the timeout input is not a number of minutes: $WITH_TIMEOUT"
status=0
env -u GITHUB_TOKEN timeout --signal INT --kill-after 60 "${WITH_TIMEOUT}m" "$BENCH_DIFF" "${args[@]}" > /dev/null ||
  status=$?

# What there is is published and uploaded, also after a failure.
directory=$(realpath -- "$WITH_RESULTS" 2> /dev/null) || directory=''
if [[ -d "$directory" && "$directory" != *$'\n'* ]]; then
  echo "directory=$directory" >> "$GITHUB_OUTPUT"
  [[ ! -f "$directory/results.json" ]] || echo "results=$directory/results.json" >> "$GITHUB_OUTPUT"
  [[ ! -f "$directory/report.json" ]] || echo "report=$directory/report.json" >> "$GITHUB_OUTPUT"
fi
# 137: it had to be killed.
[[ "$status" != 124 && "$status" != 137 ]] ||
  fail "measuring took longer than the timeout input allows: $WITH_TIMEOUT minutes" "$status"
exit "$status"
