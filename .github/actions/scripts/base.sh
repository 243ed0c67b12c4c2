#!/bin/bash -p
# Runs `bench-diff base`: the one step of the measuring job that has the token. What can't be found is said in the log
# and in the report, and measuring goes on.
set -euo pipefail

args=(base)
[[ -z "$INPUT_BASE_REF" ]] || args+=(--base-ref "$INPUT_BASE_REF")
[[ -z "$INPUT_PR_NUMBER" ]] || args+=(--pr-number "$INPUT_PR_NUMBER")
[[ -z "$INPUT_CANDLE" ]] || args+=(--repository "$INPUT_CANDLE")
exec "$GITHUB_ACTION_PATH/.github/actions/scripts/with-token.sh" "${args[@]}"
