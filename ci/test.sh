#!/usr/bin/env bash
# All tests on one Python. The last lines are the test runners' own.
set -euo pipefail
cd "$(dirname "$0")/.."
ci/rust.sh
ci/crash.sh
ci/loom.sh
# Build before CPython's suite, so that it never meets an old extension.
. ci/lib.sh
dev_venv
build_extension .venv
ci/conformance.sh
ci/python.sh
