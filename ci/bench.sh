#!/usr/bin/env bash
# Benchmarks against multiprocessing; see bench/README.md for the options.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
dev_venv
build_extension .venv
[ $# -gt 0 ] || set -- --quick
say "benchmarks: $*"
.venv/bin/python bench/run.py --impls stdlib,procession "$@"
