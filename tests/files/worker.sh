#!/bin/sh
# A measured program that speaks the worker protocol and remembers nothing: any number may run at a time. Each
# measurement has a number of its own, noted in `measured` beside it. A case takes as long as `sleep` says, and doesn't
# end while there is a file `hold`.
[ "$1" = worker ] || exit 64
job=$(cat)
here=$(dirname "$0")
echo '{"event":"hello","program":{"name":"fake","version":"1.0","candle_version":"none"}}'
echo '{"event":"loaded","loaded":{"revision":null,"warnings":[],"decode_weight_bytes":1,"kv_bytes_per_token":1,"flops_per_token":1,"attention_flops_per_token_squared":1}}'
for case in $(printf '%s' "$job" | grep -o '"id":"[^"]*"' | cut -d'"' -f4); do
    echo "{\"event\":\"case_started\",\"case\":\"$case\"}"
    [ ! -f "$here/sleep" ] || sleep "$(cat "$here/sleep")"
    while [ -f "$here/hold" ]; do sleep 0.02; done
    number=1$(date +%N)
    echo "$number" >> "$here/measured"
    echo "{\"event\":\"case_measured\",\"case\":\"$case\",\"measurement\":{\"metrics\":{\"decode_throughput\":$number,\"ttft\":20,\"speed\":90,\"e2e_latency\":2000},\"token_hash\":\"00ff\"}}"
done
echo '{"event":"done"}'
