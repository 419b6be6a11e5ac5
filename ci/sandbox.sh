#!/usr/bin/env bash
# The tests as an ordinary user in a tight container: root read-only, /dev/shm of 64 MB, 256 MB of
# memory. Needs root (to build the container) and a memory control group; says so otherwise.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
venv=${VENV:-.venv}
skip() {
    say "skipped: the sandbox needs $1"
    exit 0
}
[ "$(id -u)" = 0 ] || skip "root"
unshare -m true 2>/dev/null || skip "mount namespaces"
home=$("${PYTHON:-python3}" -c 'import sys; print(sys.base_prefix)')
limit=$((256 << 20))
if [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/procession-test-$$ file=memory.limit_in_bytes
else
    group=/sys/fs/cgroup/procession-test-$$ file=memory.max
fi
mkdir "$group" 2>/dev/null || skip "a memory control group"
trap 'rmdir "$group" 2>/dev/null || true' EXIT
echo "$limit" 2>/dev/null >"$group/$file" || skip "a memory control group"

# in_sandbox COMMAND...: the interpreter may lie in a home folder that others can't enter.
in_sandbox() {
    GROUP=$group HOME_OF_PYTHON=$home unshare -m bash -c '
        set -euo pipefail
        echo $$ >"$GROUP/cgroup.procs"
        mount --make-rprivate /
        mount -t tmpfs -o size=100m,mode=1777 tmpfs /mnt
        case $HOME_OF_PYTHON in
        "$HOME"/*)
            mkdir /mnt/python
            mount --bind "$HOME_OF_PYTHON" /mnt/python
            mount -t tmpfs -o mode=755 tmpfs "$HOME"
            mkdir -p "$HOME_OF_PYTHON"
            mount --move /mnt/python "$HOME_OF_PYTHON" ;;
        esac
        mount -t tmpfs -o size=64m,mode=1777 tmpfs /dev/shm
        mount -o remount,bind,ro /
        exec setpriv --reuid=65534 --regid=65534 --clear-groups \
            env HOME=/mnt TMPDIR=/mnt PYTHONDONTWRITEBYTECODE=1 "$@"' sandbox "$@"
}
dev_venv "$venv"
build_extension "$venv"
say "sandbox: the core's tests"
cargo test -q -p procession --features fault --no-run
for test in queue limits crash; do
    # The newest: cargo keeps older builds beside it.
    in_sandbox "$(find target/debug/deps -name "$test-*" -perm -1 -type f -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)" -q --test-threads=1
done
say "sandbox: the package's tests"
# One module after the other, since one process that runs them all grows beyond the memory that there
# is. The doctor finds that something stands in the way here, as it should.
for module in tests/test_*.py; do
    case $module in
    tests/test_cli.py | tests/test_doctor.py) continue ;;
    esac
    say "$module"
    in_sandbox "$PWD/$venv/bin/python" -m pytest -q -p no:cacheprovider "$module"
done
