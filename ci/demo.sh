#!/usr/bin/env bash
# Builds the package into .venv and runs the main job. Options are handed to it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
need_cargo
make_venv .venv "${PYTHON:-python3}" -c requirements-dev.txt maturin cloudpickle
build_extension .venv
exec .venv/bin/python -m procession demo "$@"
