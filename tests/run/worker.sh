#!/bin/sh
# A measured program in a few lines: speaks the worker protocol, measures nothing, and behaves as `behaviour` in the
# current directory says: lines of `CASE ACTION`, where CASE is a part of a case's id, or `load`.
# Everything it does is noted in `log`.

[ "$1" = worker ] || exit 64
# Before the job, which comes in the version that it names: none is 1.
echo '{"event":"hello","program":{"name":"fake","version":"1.0","candle_version":"none"}}'
job=$(cat)
env | cut -d= -f1 | sort > environment
echo "${#BENCH_DIFF_PADDING}" >> padding
printf '%s\n' "$job" > job
round=$(( $(cat starts 2>/dev/null || echo 0) + 1 ))
echo "$round" > starts

note() { echo "$*" >> log; }
say() { printf '%s\n' "$1"; }

behave() {
    [ -f behaviour ] || return 0
    while read -r where what; do
        case "$1" in
            *"$where"*) act "$what" "$1" ;;
        esac
    done < behaviour
}

act() {
    case "$1" in
        crash) kill -9 $$ ;;
        exit) echo "thread 'main' panicked: no luck" >&2; exit 101 ;;
        hang) sleep 60 & wait ;;
        slow) sleep 0.3 ;;
        brood)
            trap '' TERM INT HUP
            setsid sh -c 'echo $$ >> brood; exec sleep 300' &
            sh -c 'echo $$ >> brood; exec sleep 300' &
            echo $$ >> brood
            wait ;;
        litter) setsid sh -c 'echo $$ > brood; exec sleep 300' & while [ ! -s brood ]; do sleep 0.01; done ;;
        oom)
            say "{\"event\":\"case_failed\",\"case\":\"$2\",\"failure\":{\"kind\":\"out_of_memory\",\"reason\":\"out of memory: 3 GiB\"}}"
            exit 0 ;;
        refuse)
            say '{"event":"failed","failure":{"kind":"error","reason":"no such file: model.safetensors"}}'
            exit 0 ;;
        refuse-for-good)
            say '{"event":"failed","failure":{"kind":"error","reason":"no such file: model.safetensors"},"lasting":true}'
            exit 0 ;;
        garbage) say "$(printf 'Segmentation fault \033[31mhaha')" ;;
        endless) head -c 6000000 /dev/zero | tr '\0' x ;;
        other) say '{"event":"case_measured","case":"@everyone","measurement":{"metrics":{"ttft":1}}}' ;;
        done) say '{"event":"done"}'; exit 0 ;;
        throttle) extra=',"device":{"throttle_reasons":["sw_thermal_slowdown"]}' ;;
        throttle-once)
            [ -e throttled ] || extra=',"device":{"throttle_reasons":["sw_thermal_slowdown"]}'
            touch throttled ;;
        fallback) extra=',"implementation":"stock"' ;;
        newer) say '{"event":"from_the_future","x":1}' ;;
    esac
}

note "start"
behave load
say '{"event":"loaded","loaded":{"revision":null,"warnings":[],"decode_weight_bytes":1,"kv_bytes_per_token":1,"flops_per_token":1,"attention_flops_per_token_squared":1}}'
for case in $(printf '%s' "$job" | grep -o '"id":"[^"]*"' | cut -d'"' -f4); do
    note "$case"
    extra=
    say "{\"event\":\"case_started\",\"case\":\"$case\"}"
    behave "$case"
    say "{\"event\":\"case_measured\",\"case\":\"$case\",\"measurement\":{\"metrics\":{\"decode_throughput\":100.$round,\"ttft\":20.$round,\"speed\":90.5,\"e2e_latency\":2000.5,\"peak_memory\":512.25,\"allocated_memory\":256},\"token_hash\":\"00ff\"$extra},\"trace\":[1.5,2.5]}"
done
behave end
say '{"event":"done"}'
