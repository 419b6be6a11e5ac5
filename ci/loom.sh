#!/usr/bin/env bash
# Model checking. LOOM=full allows one preemption more in the models that are bounded by it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
need_cargo
[ "${LOOM:-quick}" != full ] || export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}"
say "loom (${LOOM:-quick})"
# An own target folder: the flag would rebuild everything otherwise, here and at the next test.
RUSTFLAGS="${RUSTFLAGS:-} --cfg loom" cargo test -p procession --release --lib --target-dir target/loom
