#!/usr/bin/env bash
# python.sh [FOLDER [PYTHON]]: builds the extension into that environment and runs the Python tests.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
venv=${1:-.venv}
dev_venv "$venv" "${2:-${PYTHON:-python3}}"
build_extension "$venv"
say "Python tests, $("$venv/bin/python" -V)"
"$venv/bin/python" -m pytest -q
