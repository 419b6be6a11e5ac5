#!/usr/bin/env bash
# The Rust documentation; a broken link or a missing piece is an error.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
need_cargo
RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings" cargo doc -p procession --no-deps --features redis,tokio,bytemuck
say "open target/doc/procession/index.html"
