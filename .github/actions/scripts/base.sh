#!/bin/bash -p
# Runs `bench-diff base`: the one step of the measuring job that has the token. What can't be found is said in the log
# and in the report, and measuring goes on.
set -euo pipefail

args=(base)
[[ -z "$WITH_BASE_REF" ]] || args+=(--base-ref "$WITH_BASE_REF")
[[ -z "$WITH_PR_NUMBER" ]] || args+=(--pr-number "$WITH_PR_NUMBER")
[[ -z "$WITH_CANDLE" ]] || args+=(--repository "$WITH_CANDLE")
exec "$GITHUB_ACTION_PATH/.github/actions/scripts/with-token.sh" "${args[@]}"
