#!/bin/sh
# Plays cargo for bench-diff against a candle: `build` makes a program of the speed that candle's sources say.
dir=$(dirname "$0")
command=$1
while [ $# -gt 0 ]; do
    case "$1" in
        --target-dir) target=$2 ;;
        --config) case "$2" in patch.crates-io.candle-core.path=*) core=$(echo "${2#*=}" | tr -d '"') ;; esac ;;
    esac
    shift
done
speed=$(cat "$core/speed")
if [ "$command" = update ]; then
    [ "$speed" != unfit ] || echo 'warning: patch `candle-core v9.0.0` was not used in the crate graph' >&2
    exit 0
fi
echo "$BENCH_DIFF_CANDLE_COMMIT" >> "$dir/builds"
# As someone who edits bench-diff meanwhile.
[ ! -e "$dir/edits" ] || echo "$BENCH_DIFF_CANDLE_COMMIT" > "$(cat "$dir/edits")"
mkdir -p "$target/release"
if [ "$speed" = broken ]; then
    printf '   Compiling candle-core\nerror[E0308]: mismatched types\n\nerror: could not compile `candle-core`\n' >&2
    exit 101
fi
sed "s/SPEED/$speed/g; s/COMMIT\"/aaaaaaa\",\"candle_commit\":\"$BENCH_DIFF_CANDLE_COMMIT\"/" "$dir/program.sh" \
    > "$target/release/bench-diff.new"
install -m 755 "$target/release/bench-diff.new" "$target/release/bench-diff"
