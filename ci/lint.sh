#!/usr/bin/env bash
# Every linter; all are run even if one complains.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
set -e
need_cargo
dev_venv
build_extension .venv
set +e
export PYO3_PYTHON="$PWD/.venv/bin/python"
bad=()
check() {
    local name=$1
    shift
    say "$name"
    "$@" || bad+=("$name")
}
check "cargo fmt" cargo fmt --all --check
check "cargo clippy" cargo clippy --workspace --all-targets -- -D warnings
check "cargo clippy, fault" cargo clippy -p procession --all-targets --features fault -- -D warnings
check "cargo clippy, async" cargo clippy -p procession --all-targets --features async -- -D warnings
check "cargo clippy, all features" cargo clippy -p procession --all-targets --all-features -- -D warnings
check "layers" python3 ci/layers.py
check "ruff check" .venv/bin/ruff check .
check "ruff format" .venv/bin/ruff format --check .
check "mypy" .venv/bin/mypy
check "stubtest" env MYPYPATH=python .venv/bin/python -m mypy.stubtest procession --mypy-config-file pyproject.toml --ignore-disjoint-bases --allowlist ci/stubtest-allowed.txt
if command -v cargo-deny >/dev/null; then
    check "cargo deny" cargo deny check bans licenses sources
else
    say "skipped: cargo deny is not installed"
fi
if [ ${#bad[@]} -gt 0 ]; then
    printf 'procession: lint failed: %s\n' "$(IFS=,; echo "${bad[*]}")" >&2
    exit 1
fi
say "lint: all clean"
