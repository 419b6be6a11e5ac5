"""Holds the architecture's rules that no compiler knows. Prints each breach; exit status 1 if any.

- The core's layers import only downwards, and siblings of one layer not each other.
- The core knows nothing of Python; the bindings use its public names only.
- `unsafe` stands only where it is allowed to; raw atomics only in `sys`.
- No source file has more than 500 lines.
- No file names a path of somebody's machine.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "crates/procession/src"
BINDINGS = ROOT / "crates/procession-py/src"

# Module of the core: its layer. The algorithms (wait, lock, ring, words) know nothing of where
# their words lie; the arena is what gives them a place. `error` holds types only, which every layer
# may name.
LAYERS = {
    "error": 0,
    "sys": 0,
    "wait": 1,
    "threads": 1,
    "lock": 2,
    "ring": 2,
    "words": 3,
    "arena": 4,
    "codec": 5,
    "task": 5,
    "handle": 5,
    "travel": 5,
    "channel": 6,
    "memory": 6,
    "sync": 6,
    "collections": 7,
    "queue": 7,
    "pipe": 7,
    "process": 7,
    "plain": 8,
    "pool": 8,
    "manager": 8,
    "primitives": 8,
    "named": 9,
    "remote": 9,
}
SHARED = {"error"}
MAY_BE_UNSAFE = [
    CORE / "sys",
    CORE / "arena",
    CORE / "ring",
    CORE / "process/fork",  # declares the unsafe function that users call
    BINDINGS / "codec",
    BINDINGS / "memory",
    BINDINGS / "sync/fast",
    BINDINGS / "threads/fast",
    BINDINGS / "threads/guarded",
    BINDINGS / "threads/plain",
]
ATOMICS = re.compile(r"\b(?:std|core)::sync::(?:atomic\b|\{[^}]*\batomic\b)")
LONGEST = 500
# Kept as they came, in a layout of their own.
VERBATIM = ("bench/", "tests/conformance/")
MACHINE_PATH = re.compile(r"/(?:root|home/\w+|Users/\w+|work)/")


def code_only(text: str) -> str:
    """The text without comments and the contents of strings; lines stay where they were."""
    keep_lines = re.compile(r"[^\n]")
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|b?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?\'(?:\\.[^\']*|[^\'\\\n])\'',
        re.DOTALL,
    )
    return pattern.sub(lambda match: keep_lines.sub(" ", match.group()), text)


def without_tests(code: str) -> str:
    """Cuts off the unit tests at the end of a file: they may use what they need."""
    cut = re.search(r"#\[cfg\([^\]]*\btest\b[^\]]*\)\]\s*mod \w+ \{", code)
    return code[: cut.start()] if cut else code


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def crate_uses(code: str):
    """(position, first module) of every path that starts at the crate's root."""
    for match in re.finditer(r"\bcrate::(\w+)", code):
        yield match.start(), match.group(1)
    for match in re.finditer(r"\bcrate::\{(.*?)\};", code, re.DOTALL):
        depth = 0
        for part in re.finditer(r"[{}]|\w+", match.group(1)):
            if part.group() in "{}":
                depth += 1 if part.group() == "{" else -1
            elif depth == 0 and re.match(r"\s*(::|,|$|\})", match.group(1)[part.end() :]):
                before = match.group(1)[: part.start()].rstrip()
                if not before or before.endswith((",", "}")):
                    yield match.start(), part.group()


def check_layers(breaches: list[str]) -> None:
    for path in sorted(CORE.rglob("*.rs")):
        inside = path.relative_to(CORE)
        module = inside.parts[0].removesuffix(".rs")
        if module in ("lib", "loom_tests"):
            continue
        name = path.relative_to(ROOT)
        if module not in LAYERS:
            breaches.append(f"{name}: module {module!r} has no layer in ci/layers.py")
            continue
        code = without_tests(code_only(path.read_text()))
        for position, used in crate_uses(code):
            if used == module or used not in LAYERS or used in SHARED:
                continue
            if LAYERS[used] >= LAYERS[module]:
                where = f"{name}:{line_of(code, position)}"
                breaches.append(
                    f"{where}: {module} (layer {LAYERS[module]}) uses {used} (layer {LAYERS[used]})"
                )
        for match in re.finditer(r"\b(?:pyo3|Python|PyObject)\b", code):
            breaches.append(f"{name}:{line_of(code, match.start())}: the core names Python")


def check_unsafe(breaches: list[str]) -> None:
    for path in sorted([*CORE.rglob("*.rs"), *BINDINGS.rglob("*.rs")]):
        code = code_only(path.read_text())
        name = path.relative_to(ROOT)
        allowed = any(path == place.with_suffix(".rs") or place in path.parents
                      for place in MAY_BE_UNSAFE)  # fmt: skip
        if not allowed:
            for match in re.finditer(r"\bunsafe\b(?!_)", without_tests(code)):
                breaches.append(f"{name}:{line_of(code, match.start())}: unsafe outside its fence")
        if CORE in path.parents and CORE / "sys" not in path.parents:
            for match in ATOMICS.finditer(code):
                breaches.append(
                    f"{name}:{line_of(code, match.start())}: atomics not by sys::atomic"
                )


def tracked() -> list[str]:
    """What git tracks, or would if it were added; without git, nothing is checked by name."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def check_files(breaches: list[str]) -> None:
    for name in tracked():
        if name.startswith(VERBATIM) or name in ("Cargo.lock", "ci/layers.py"):
            continue
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        lines = text.count("\n")
        if name.endswith((".rs", ".py", ".pyi", ".sh")) and lines > LONGEST:
            breaches.append(f"{name}: {lines} lines, more than {LONGEST}")
        for match in MACHINE_PATH.finditer(text):
            found = match.group()
            breaches.append(
                f"{name}:{line_of(text, match.start())}: names a machine's path {found}"
            )


def main() -> int:
    breaches: list[str] = []
    check_layers(breaches)
    check_unsafe(breaches)
    check_files(breaches)
    for breach in breaches:
        print(breach)
    if breaches:
        print(f"layers: {len(breaches)} breaches", file=sys.stderr)
        return 1
    print("layers: sound")
    return 0


if __name__ == "__main__":
    sys.exit(main())
