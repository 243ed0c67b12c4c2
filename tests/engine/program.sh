#!/bin/sh
# Speaks the engine protocol, well or in the way that its first argument says.
mode=$1

say() { printf '%s\n' "$1"; }
fail() { say "{\"answer\":\"error\",\"kind\":\"$1\",\"message\":\"$2\"}"; }

chunks() {
  left=$1
  while [ "$left" -gt 0 ]; do
    say '{"answer":"chunk","tokens":1}'
    left=$((left - 1))
  done
}

# So many steps, each after its work, and as many tokens of each.
paced() {
  steps=$1
  while [ "$steps" -gt 0 ]; do
    sleep 0.01
    chunks "$2"
    steps=$((steps - 1))
  done
}

# As many ids as its first argument says, counted from its second.
ids() {
  if [ "$1" -eq 0 ]; then say '{"answer":"generated","token_ids":[]}'; return; fi
  list=$2 next=$2
  while [ "$next" -lt $(($2 + $1 - 1)) ]; do
    next=$((next + 1))
    list="$list,$next"
  done
  say "{\"answer\":\"generated\",\"token_ids\":[$list]$3}"
}

# A chunk each millisecond, by a clock of its own.
timed() {
  pairs="[1,1.0]" at=1
  while [ "$at" -lt "$1" ]; do
    at=$((at + 1))
    pairs="$pairs,[1,$at.0]"
  done
  ids "$1" 5 ",\"times\":{\"clock\":\"$2\",\"chunks\":[$pairs],\"end_to_end_ms\":$at.5}"
}

generate() {
  case $mode in
    microseconds) ids "$1" 5 ",\"times\":{\"clock\":\"host\",\"chunks\":[[1,1000.0],[$(($1 - 1)),4000.0]],\"end_to_end_ms\":4000.0}" ;;
    timeless) ids "$1" 5 ",\"times\":{\"clock\":\"host\",\"chunks\":[[1,0.0001],[$(($1 - 1)),1.0]],\"end_to_end_ms\":1.0}" ;;
    own-clock) timed "$1" device ;;
    sundial) timed "$1" sundial ;;
    both) chunks "$1"; timed "$1" host ;;
    neither) ids "$1" 5 ;;
    short | seed) chunks $(($1 - 1)); ids $(($1 - 1)) 5 ;;
    buffered) sleep 0.06; say "$(chunks "$1")"; ids "$1" 5 ;;
    half-buffered) sleep 0.06; say "$(chunks 48)"; paced $(($1 - 48)) 1; ids "$1" 5 ;;
    stepping) sleep 0.06; paced $(($1 / 8)) 8; ids "$1" 5 ;;
    unfinished) chunks 1; echo "CUDA error 700" >&2; printf '{"answer":"chu'; exit 3 ;;
    endless-chunks) while :; do say '{"answer":"chunk","tokens":1}'; done ;;
    empty-chunks) while :; do say '{"answer":"chunk","tokens":0}'; done ;;
    twice) chunks "$1"; ids "$1" 5; ids "$1" 5 ;;
    late) chunks "$1"; ids "$1" 5; (sleep 0.3; ids "$1" 5) & ;;
    backwards) ids "$1" 5; chunks "$1" ;;
    empty-line) say "" ;;
    merged) say "{\"answer\":\"chunk\",\"tokens\":$(($1 - 1))}"; chunks 1; say '{"answer":"generated"}' ;;
    wandering) chunks "$1"; ids "$1" $((5 + $$ + turn)) ;;
    memoryless) fail out_of_memory "the cache needs 90 GiB" ;;
    dies) chunks 1; echo "CUDA error: an illegal memory access" >&2; exit 7 ;;
    chatty) echo "Generating: 10%" ;;
    floods) head -c 3000000 /dev/zero | tr '\0' 'x' >&2; chunks "$1"; ids "$1" 5 ;;
    endless) head -c 5000000 /dev/zero | tr '\0' 'x' ;;
    hangs) sleep 600 ;;
    *) chunks "$1"; ids "$1" 5 ;;
  esac
}

# Does what is optional, and says what it doesn't.
able() {
  case $1 in
    *'"batch_size":2'*) say '{"answer":"loaded","batch_size":2}' ;;
    *'"seed_protocol":"vllm"'*) say '{"answer":"loaded","seed_protocol":"vllm"}' ;;
    *'"seed_protocol"'*) fail unsupported "fake follows vllm alone" ;;
    *) say '{"answer":"loaded"}' ;;
  esac
}

case $mode in
  mute) exec sleep 600 ;;
  gone) echo "no module named torch" >&2; exit 1 ;;
  talks-first) echo "Loading checkpoint shards: 100%" ;;
  version-0) say '{"answer":"hello","protocol":0,"name":"fake","version":"1"}' ;;
  child) sleep 600 & ;;
  daemon) setsid sleep 600 < /dev/null > /dev/null 2>&1 & ;;
  nameless) say '{"answer":"hello","protocol":1}' ;;
esac
if [ "$2" ]; then echo $$ > "$2"; fi
trap '' TERM
version=1.0
if [ "$mode" = newer ]; then version=2.0; fi
if [ "$mode" = changing ]; then version=$$; fi
long=f
if [ "$mode" = long-winded ]; then long=$(head -c 100000 /dev/zero | tr "\0" f); fi
if [ "$mode" = long-winded ]; then
  say '{"answer":"hello","protocol":1,"name":"'"$long"'","version":"'"$long"'","commit":"'"$long"'","components":{"'"$long"'":{"version":"1","commit":"'"$long"'"}}}'
else
  say '{"answer":"hello","protocol":7,"name":"fake","version":"'"$version"'","commit":"0123456789abcdef","mood":"good"}'
fi
turn=0
while read -r line; do
  turn=$((turn + 1))
  case $line in
    *'"abacus"'*'"request":"load"'*)
      if [ "$mode" = careless ]; then say '{"answer":"loaded"}'; else fail unsupported "no abacus here"; fi ;;
    *'"request":"load"'*)
      say '{"answer":"loading","done":1,"total":2}'
      while [ "$mode" = endless-loading ]; do say '{"answer":"loading","done":1,"total":2}'; done
      if [ "$mode" = unsupported ]; then fail unsupported "fake reads no weights of its own: use another model"
      elif [ "$mode" = able ]; then able "$line"
      elif [ "$mode" = halves ] && [ "$line" != "${line#*batch_size}" ]; then say '{"answer":"loaded","batch_size":1}'
      elif [ "$mode" = strict ] && [ "$line" != "${line#*seed_protocol}" ]; then echo "KeyError: seed_protocol" >&2; exit 1
      elif [ "$mode" = long-winded ]; then say '{"answer":"loaded","implementation":"'"$long"'","warnings":["'"$long"'"]}'
      elif [ "$mode" = batch ]; then say '{"answer":"loaded","batch_size":2}'
      elif [ "$mode" = seed ]; then say '{"answer":"loaded","seed_protocol":"vllm"}'
      else say '{"answer":"loaded","implementation":"eager","warnings":["no fast kernels: eager ran instead"]}'; fi ;;
    *'"request":"generate"'*)
      tokens=${line##*\"tokens\":}
      generate "${tokens%%[!0-9]*}" ;;
    *'"request":"memory"'*)
      if [ "$mode" = greedy ]; then say '{"answer":"memory","peak_bytes":18446744073709551615}'; continue; fi
      if [ "$mode" = negative ]; then say '{"answer":"memory","peak_bytes":-5}'; continue; fi
      say '{"answer":"memory","peak_bytes":3145728}' ;;
    *'"request":"quit"'*) break ;;
  esac
done
if [ "$mode" = talks-last ]; then echo "Goodbye."; fi
if [ "$mode" = stays ]; then exec sleep 600; fi
exit 0
