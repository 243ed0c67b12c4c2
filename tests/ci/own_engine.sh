#!/bin/sh
# An engine of somebody's own: STEP milliseconds a token by its own clock, which pass, a little jitter from run to run. It names a
# commit that is always the same. STEP `crash` dies in the middle of a generation.
count=$(cat count 2>/dev/null || echo 0)
count=$((count + 1))
echo "$count" > count
# Two runs in turn are alike: where two contenders are this engine, it doesn't matter which of them goes first.
jitter=$(((count + 1) / 2 * 37 % 11))
env > environment
echo '{"answer":"hello","protocol":1,"name":"toy","version":"1.0","commit":"1f0c9d2"}'
while read -r line; do
  case $line in
    *'"request":"load"'*) echo '{"answer":"loaded"}' ;;
    *'"request":"generate"'*)
      if [ STEP = crash ]; then echo "toy: the tensor has no shape" >&2; exit 7; fi
      tokens=${line##*\"tokens\":}
      awk -v tokens="${tokens%%[!0-9]*}" -v step=STEP -v jitter="$jitter" 'BEGIN {
          step *= 1 + (jitter - 5) / 2000
          for (i = 1; i <= tokens; i++) { times = times sep "[1," i * step "]"; ids = ids sep i; sep = "," }
          system("sleep " (tokens + 0.5) * step / 1000)
          printf "{\"answer\":\"generated\",\"token_ids\":[%s],\"times\":{\"clock\":\"host\",\"chunks\":[%s],\"end_to_end_ms\":%f}}\n", ids, times, (tokens + 0.5) * step
      }' ;;
    *'"request":"memory"'*) echo '{"answer":"memory"}' ;;
    *'"request":"quit"'*) exit 0 ;;
  esac
done
