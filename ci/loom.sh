#!/usr/bin/env bash
# Model checking. LOOM=full lifts the bound on preemptions, which takes far longer.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
need_cargo
[ "${LOOM:-quick}" = full ] || export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-2}"
say "loom (${LOOM:-quick})"
# An own target folder: the flag would rebuild everything otherwise, here and at the next test.
RUSTFLAGS="${RUSTFLAGS:-} --cfg loom" cargo test -p procession --release --lib --target-dir target/loom
