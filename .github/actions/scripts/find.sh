#!/usr/bin/env bash
# Finds bench-diff and writes its path to the step's outputs. In this order:
#   1. the binary-path input
#   2. a bench-diff of the wanted version on PATH
#   3. the runner's tool cache
#   4. a release, if this Action's own repository holds its SHA-256 (checksums.txt)
#   5. with the build input: this Action's own source
# A wrong checksum ends the search: something is wrong, and the next way would only hide it.
set -euo pipefail

# The Action's own checkout, which has the sources.
action=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../../.." && pwd)
. "$action/.github/actions/scripts/fail.sh"
own_version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$action/Cargo.toml" | head -n 1)
version="${WITH_VERSION:-$own_version}"
version="${version#v}"
cache="${RUNNER_TOOL_CACHE:-$HOME/.cache}/bench-diff"
mkdir -p "$cache" 2> /dev/null || cache="$HOME/.cache/bench-diff"

found() {
  echo "bench-diff: $1 ($2)"
  echo "path=$1" >> "$GITHUB_OUTPUT"
  exit 0
}

[[ "$version" =~ ^[0-9A-Za-z.+-]+$ ]] || fail "the version input is not a version"
case "$WITH_BUILD" in
  never | cpu | cuda) ;;
  auto) if command -v nvcc > /dev/null; then WITH_BUILD=cuda; else WITH_BUILD=cpu; fi ;;
  *) fail "the build input is neither never, auto, cpu nor cuda" ;;
esac

if [[ -n "$WITH_BINARY_PATH" ]]; then
  path=$(realpath -- "$WITH_BINARY_PATH" 2> /dev/null) || path=''
  [[ -f "$path" && -x "$path" ]] || fail "binary-path names no program: $WITH_BINARY_PATH"
  [[ "$path" != *$'\n'* ]] || fail "binary-path has a line break in it"
  found "$path" "binary-path"
fi

if path=$(command -v bench-diff) && [[ "$("$path" --version)" == "bench-diff $version" ]]; then
  found "$path" "on PATH"
fi

# One build for each GPU generation: a build embeds the kernels of one.
target="$(uname -m)-linux"
capability=''
if command -v nvidia-smi > /dev/null; then
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -cd '0-9')
  [[ -z "$capability" ]] || target="$target-sm$capability"
fi
cached="$cache/$version/$target/bench-diff"
if [[ -x "$cached" ]]; then
  found "$cached" "tool cache"
fi

file="bench-diff-$version-$target.tar.gz"
sum=$(awk -v file="$file" '$2 == file { print $1 }' "$action/.github/actions/scripts/checksums.txt")
address="${GITHUB_SERVER_URL:-https://github.com}/${ACTION_REPOSITORY:-}"
if [[ -n "$sum" && -n "${ACTION_REPOSITORY:-}" ]]; then
  download=$(mktemp -d)
  trap 'rm -rf "$download"' EXIT
  if curl --fail --silent --show-error --location --proto '=https' --max-time 300 \
    --output "$download/$file" "$address/releases/download/v$version/$file"; then
    echo "$sum  $download/$file" | sha256sum --check --quiet - ||
      fail "the checksum of $file is wrong: not using it, nor anything in its place"
    mkdir -p "$(dirname "$cached")"
    tar --extract --gzip --file "$download/$file" --directory "$download" bench-diff
    install -m 755 "$download/bench-diff" "$cached"
    found "$cached" "release v$version"
  fi
  echo "can't download $file; looking further"
fi

if [[ "$WITH_BUILD" != never ]]; then
  [[ "$version" == "$own_version" ]] || fail "can't build $version: this Action is $own_version"
  command -v cargo > /dev/null || fail "build: $WITH_BUILD needs cargo on the runner"
  # Kept for each state of the sources, so that only the first run on a runner takes long. A tag such as v1 moves, and
  # what the runner downloads for it is no clone: the files themselves say what they are.
  source_id=$(cd "$action" && find . \( -name .git -o -name target \) -prune -o -type f -print0 | LC_ALL=C sort -z |
    xargs -0 sha256sum | sha256sum | cut -c 1-32)
  built="$cache/$version/$source_id-$WITH_BUILD${capability:+-sm$capability}/bench-diff"
  if [[ ! -x "$built" ]]; then
    echo "building bench-diff $version for $WITH_BUILD, once on this runner"
    features=()
    [[ "$WITH_BUILD" != cuda ]] || features=(--features cuda)
    # Not where the pull request is: its .cargo/config.toml and rust-toolchain.toml are not for this. And cargo goes by
    # the files' times, which in a download are those of the commit: it could take another version's build for this one.
    (
      cd "$action"
      cargo clean --quiet --release --locked --target-dir "$cache/target" --package bench-diff
      cargo build --release --locked --target-dir "$cache/target" --bin bench-diff "${features[@]}"
    )
    mkdir -p "$(dirname "$built")"
    install -m 755 "$cache/target/release/bench-diff" "$built"
  fi
  found "$built" "built from this Action"
fi

fail "no bench-diff $version here: set binary-path, put it on PATH, or set build to auto"
