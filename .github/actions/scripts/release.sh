#!/usr/bin/env bash
# Publishes a release: the programs with their checksums, and a pull request that adds these and the release's baselines
# to the default branch. Run again, whatever it finished is left as it is; other bytes for a released version are refused.
#
# Takes the programs from dist/*.tar.gz and the results from sessions/*.json. Needs TAG, DEFAULT_BRANCH and GH_TOKEN.
set -euo pipefail

branch="baselines-$TAG"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck source=.github/actions/scripts/fail.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/fail.sh"
# shellcheck source=.github/actions/scripts/branch.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/branch.sh"

# What is there already must have the same bytes: its checksums may be in use.
(cd dist && sha256sum -- *.tar.gz) > "$work/SHA256SUMS"
if gh release view "$TAG" --json tagName > /dev/null 2>&1; then
  gh release download "$TAG" --pattern SHA256SUMS --dir "$work/released"
  cmp --silent "$work/SHA256SUMS" "$work/released/SHA256SUMS" ||
    fail "$TAG is released with other bytes: delete that release or take another version"
  echo "$TAG is released already"
else
  cp "$work/SHA256SUMS" dist/
  gh release create "$TAG" dist/*.tar.gz dist/SHA256SUMS --verify-tag --title "$TAG" --generate-notes
fi

as_the_bot
has_baselines() {
  git ls-tree -r --name-only "$1" baselines | grep --quiet --fixed-strings "/releases/$TAG/"
}

# The tag doesn't have what an earlier run may have added to the branches.
git fetch --quiet --depth=1 origin "$DEFAULT_BRANCH"
if has_baselines FETCH_HEAD; then
  echo "$DEFAULT_BRANCH has the baselines of $TAG already"
  exit 0
fi
git switch --quiet --force-create "$branch" FETCH_HEAD
if git fetch --quiet --depth=1 origin "$branch" 2> /dev/null && has_baselines FETCH_HEAD; then
  echo "$branch has the baselines of $TAG already"
else
  sums=.github/actions/scripts/checksums.txt
  while read -r sum file; do
    known=$(awk -v file="$file" '$2 == file { print $1 }' "$sums")
    [[ -n "$known" ]] || echo "$sum  $file" >> "$sums"
    [[ -z "$known" || "$known" == "$sum" ]] || fail "$sums has another checksum for $file"
  done < "$work/SHA256SUMS"
  # The release's own program reads the results.
  program=(dist/bench-diff-"${TAG#v}"-*-linux.tar.gz)
  tar --extract --gzip --file "${program[0]}" --directory "$work" bench-diff
  "$work/bench-diff" baseline update sessions/*.json --release "$TAG" --label "$TAG"
  git add "$sums" baselines
  git commit --quiet --message "Checksums and baselines of $TAG"
  git push --quiet --force origin "$branch"
fi
propose "$branch" "$DEFAULT_BRANCH" "Checksums and baselines of $TAG" \
  "What the Action needs to download $TAG, and a session of it: one occasion, so a screen. Baselines of a release are never changed."
