#!/usr/bin/env bash
# CPython's own tests against Procession, in the environment VENV (default .venv), whose extension
# must have been built. Without options: its quick selection, all start methods.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
venv=${VENV:-.venv}
if ! [ -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import procession' 2>/dev/null; then
    dev_venv "$venv"
    build_extension "$venv"
fi
if ! "$venv/bin/python" -c 'import test._test_multiprocessing' 2>/dev/null; then
    say "skipped: conformance, for $("$venv/bin/python" -V) has no Lib/test (Debian: libpython3-testsuite)"
    exit 0
fi
[ $# -gt 0 ] || set -- --quick --method all
say "CPython's suite: $*"
"$venv/bin/python" tests/conformance/cpython_suite.py --impl procession "$@"
