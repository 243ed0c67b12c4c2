#!/usr/bin/env bash
# Runs `bench-diff base`: the one step before measuring that has the token. What can't be found is said in the log and
# in the report, and measuring goes on.
set -euo pipefail

args=(base)
[[ -z "$INPUT_BASE_REF" ]] || args+=(--base-ref "$INPUT_BASE_REF")
[[ -z "$INPUT_PR_NUMBER" ]] || args+=(--pr-number "$INPUT_PR_NUMBER")
[[ -z "$INPUT_CANDLE" ]] || args+=(--repository "$INPUT_CANDLE")
exec "$BENCH_DIFF" "${args[@]}"
