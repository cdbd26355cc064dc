#!/usr/bin/env bash
# Where is the binary for action.yml, and what is it called in the cache? With `key`, prints the cache key of this source; otherwise builds it.
#
# Reads of GitHub: GITHUB_ACTION_PATH GITHUB_OUTPUT RUNNER_OS RUNNER_ARCH RUNNER_TEMP HOME, and ImageOS where the machine has one.
set -euo pipefail
cd "$GITHUB_ACTION_PATH"

# Linux calls it one way, macOS the other.
sum256() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi
}

# Which C library will it be linked with? A binary of a newer one does not start on an older machine, nor one of glibc on musl.
library() {
  printf '%s\n' "${ImageOS:-}"
  if [ "$RUNNER_OS" = Linux ]; then
    getconf GNU_LIBC_VERSION 2>/dev/null || { ldd --version 2>&1 || true; } | head -n 2
  else
    sw_vers -productVersion 2>/dev/null || true
  fi
}

if [ "${1:-}" = key ]; then
  # Of everything that the binary is made of: a branch has one name and many contents.
  digest=$({
    library
    find Cargo.toml Cargo.lock src -type f -print0 | LC_ALL=C sort -z | xargs -0 cat
  } | sum256 | cut -c 1-32)
  printf 'key=promptkeel-binary-%s-%s-%s\n' "$RUNNER_OS" "$RUNNER_ARCH" "$digest" >>"$GITHUB_OUTPUT"
  exit 0
fi
folder="$HOME/.cache/promptkeel-action"
command -v cargo >/dev/null || {
  echo '::error title=promptkeel::building promptkeel needs Rust; install it before this action, or name a binary with the input "binary"'
  exit 2
}
cargo build --release --locked --target-dir "$RUNNER_TEMP/promptkeel-target"
mkdir -p "$folder"
cp "$RUNNER_TEMP/promptkeel-target/release/promptkeel" "$folder/promptkeel"
