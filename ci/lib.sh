# Shared by the scripts in ci/: sourced, never run. Each script works from the repository's root.
# Nothing here installs system packages; everything goes to a virtual environment and target/.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '== %s\n' "$*"; }
die() {
    printf 'procession: %s\n' "$*" >&2
    exit 1
}

need_cargo() {
    command -v cargo >/dev/null || die "cargo is not found; install Rust 1.90 or newer first."
}

# require_python PYTHON: fails with one sentence unless it is a CPython that can make an environment.
require_python() {
    local python=$1 version
    command -v "$python" >/dev/null || die "$python is not found; set PYTHON to a CPython 3.10 or newer."
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
        die "$python does not run; set PYTHON to a CPython 3.10 or newer."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        die "$python is Python $version, but 3.10 or newer is needed; set PYTHON to one."
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        die "$python cannot make virtual environments, for it lacks ensurepip; on Debian and Ubuntu install python$version-venv (or python3-venv)."
}

# same_python FOLDER PYTHON: fails if the caller asked for another Python than the one in there.
same_python() {
    local show='import sys; print("%d.%d" % sys.version_info[:2])' have want
    [ -n "${PYTHON:-}" ] && [ "$2" = "$PYTHON" ] || return 0
    have=$("$1/bin/python" -c "$show")
    want=$("$2" -c "$show") || die "$2 does not run."
    [ "$have" = "$want" ] || die "$1 was made with Python $have, not $want; run make clean first, or leave PYTHON unset."
}

# make_venv FOLDER PYTHON REQUIREMENT...: an environment with these, pinned by requirements-dev.txt.
# Two runs at once take turns; what is already there costs nothing.
make_venv() {
    local venv=$1 python=$2 stamp
    shift 2
    stamp="$venv/.procession-$(printf '%s\n' "$@" | cat - requirements-dev.txt | cksum | tr ' ' -)"
    mkdir -p target
    if command -v flock >/dev/null; then
        exec 9>"target/.lock$(basename "$venv")"
        flock 9
    fi
    if [ -x "$venv/bin/python" ]; then
        same_python "$venv" "$python"
    else
        require_python "$python"
        say "making $venv with $("$python" -V)"
        "$python" -m venv "$venv" 9>&-
    fi
    if ! [ -e "$stamp" ]; then
        PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -m pip install -q "$@" 9>&-
        touch "$stamp"
    fi
    exec 9>&-
}

# build_extension FOLDER [CARGO OPTION...]: the extension, in release mode, importable in that environment.
build_extension() {
    local venv=$1 target
    shift
    need_cargo
    # An own target folder per environment: PyO3 is configured for one interpreter at a time.
    target=target
    [ "$venv" = .venv ] || target="target/${venv#.}"
    say "building the extension for $venv (release)"
    env -u CONDA_PREFIX VIRTUAL_ENV="$PWD/$venv" CARGO_TARGET_DIR="$target" \
        "$venv/bin/maturin" develop --release "$@"
}

# dev_venv [FOLDER [PYTHON]]: everything that the tests and linters need.
dev_venv() {
    make_venv "${1:-.venv}" "${2:-${PYTHON:-python3}}" -r requirements-dev.txt
}

# cargo_test OPTION...: a process per test where nextest is there, which forking tests like.
cargo_test() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --no-tests=pass "$@"
    else
        cargo test "$@"
    fi
}

# test_server: what the Rust tests start as a Valkey or Redis server: one that is here, or the wheel's.
test_server() {
    dev_venv
    PROCESSION_TEST_SERVER=$(.venv/bin/python tests/remote_support.py) ||
        die "there is no Valkey or Redis server to test with; set PROCESSION_TEST_SERVER to one."
    export PROCESSION_TEST_SERVER
}
