#!/usr/bin/env bash
# Everything: long crash rounds, full loom, Miri where it is installed, and each Python found.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
export PROCESSION_LONG=1
ci/rust.sh
ci/crash.sh
ci/sandbox.sh
LOOM=full ci/loom.sh
if cargo +nightly miri --version >/dev/null 2>&1; then
    say "Miri"
    MIRIFLAGS="-Zmiri-disable-isolation" cargo +nightly miri test -p procession --lib --target-dir target/miri
else
    say "skipped: Miri is not installed (rustup +nightly component add miri)"
fi

# The newest patch release of each minor version, by pyenv or on the PATH.
find_python() {
    local found
    found=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1."*/bin/python 2>/dev/null | sort -V | tail -n 1)
    [ -n "$found" ] || found=$(command -v "python$1" || true)
    [ -z "$found" ] || ! "$found" -c '' 2>/dev/null || echo "$found"
}
for minor in 3.10 3.11 3.12 3.13 3.14; do
    python=$(find_python "$minor")
    if [ -z "$python" ]; then
        say "skipped: no Python $minor"
        continue
    fi
    ci/python.sh ".venv-$minor" "$python"
    VENV=".venv-$minor" ci/conformance.sh --method all
done
