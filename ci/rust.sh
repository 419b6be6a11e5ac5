#!/usr/bin/env bash
# The Rust tests: unit, integration and documentation.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
need_cargo
test_server
say "Rust tests"
cargo_test -p procession --features redis,tokio,bytemuck
say "Rust tests of futures without tokio"
cargo_test -p procession --features async --test asynchronous
say "Rust documentation tests"
cargo test --doc -p procession --features redis,tokio,bytemuck
