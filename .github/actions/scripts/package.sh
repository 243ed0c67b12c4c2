#!/usr/bin/env bash
# Builds bench-diff and packs it for a release: package.sh TARGET [CARGO-ARGUMENTS...]
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../../.."

target="$1"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
cargo build --release --locked --bin bench-diff "${@:2}"
mkdir -p dist
# The same bytes for the same sources: no owner, no time.
tar --create --gzip --file "dist/bench-diff-$version-$target.tar.gz" --sort=name --owner=0 --group=0 --numeric-owner \
  --mtime="@$(git log -1 --format=%ct)" --directory target/release bench-diff
