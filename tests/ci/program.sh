#!/bin/sh
# A measured program that speaks the worker protocol: SPEED tokens a second, a little jitter from run to run, COMMIT.
# SPEED 0 fails.
[ "$1" = worker ] || exit 64
echo '{"event":"hello","program":{"name":"bench-diff","version":"1.0.0","commit":"COMMIT","candle_version":"0.11.1"}}'
job=$(cat)
count=$(cat "$0.count" 2>/dev/null || echo 0)
count=$((count + 1))
echo "$count" > "$0.count"
# Two runs in turn are alike: where two contenders are this program, it doesn't matter which of them goes first.
jitter=$(((count + 1) / 2 * 37 % 11))
# Files beside it name runs in which the device is throttled, how long a run takes, its memory, and how much more it jitters.
noise=1
if [ -f "$0.noise" ]; then
    noise=$(cat "$0.noise")
    jitter=$((count * 37 % 11))
fi
memory=$(cat "$0.memory" 2>/dev/null || echo 512)
grep -qx "$count" "$0.throttled" 2>/dev/null && throttled=1
[ ! -f "$0.sleep" ] || sleep "$(cat "$0.sleep")"

if [ SPEED = 0 ]; then
    echo '{"event":"failed","failure":{"kind":"error","reason":"no luck today"}}'
    exit 0
fi
echo '{"event":"loaded","loaded":{"revision":null,"warnings":[],"decode_weight_bytes":1,"kv_bytes_per_token":1,"flops_per_token":1,"attention_flops_per_token_squared":1}}'
for case in $(printf '%s' "$job" | grep -o '"id":"[^"]*"' | cut -d'"' -f4); do
    echo "{\"event\":\"case_started\",\"case\":\"$case\"}"
    awk -v case="$case" -v speed=SPEED -v jitter="$jitter" -v throttled="$throttled" -v memory="$memory" -v noise="$noise" 'BEGIN {
        speed *= 1 + noise * (jitter - 5) / 2000
        if (throttled) { speed /= 2; device = ",\"device\":{\"throttle_reasons\":[\"sw_thermal_slowdown\"]}" }
        printf "{\"event\":\"case_measured\",\"case\":\"%s\",\"measurement\":{\"metrics\":{\"decode_throughput\":%f,\"ttft\":%f,\"itl_p99\":%f,\"peak_memory\":%d},\"token_hash\":\"00ff\"%s}}\n", case, speed, 2000 / speed, 1100 / speed, memory, device
    }'
done
echo '{"event":"done"}'
