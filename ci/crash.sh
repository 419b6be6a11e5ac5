#!/usr/bin/env bash
# Kills a process at every crash point in turn; PROCESSION_LONG=1 adds rounds.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
need_cargo
say "crash tests"
cargo_test -p procession --features fault --test 'crash*' --test 'step_*' --test closing
