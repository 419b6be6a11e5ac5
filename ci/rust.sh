#!/usr/bin/env bash
# The Rust tests: unit, integration and documentation.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
need_cargo
dev_venv
# The bindings' build looks for an interpreter: let it be the one that everything else uses.
export PYO3_PYTHON="$PWD/.venv/bin/python"
say "Rust tests"
cargo_test -p procession
say "Rust documentation tests"
cargo test --doc -p procession
