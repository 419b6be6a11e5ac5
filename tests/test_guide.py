"""The examples of README.md, docs/guide and docs/differences.md, and where these pages point to.

Every block that is fenced as ``python`` is a program of its own. It is written to a file and run,
with warnings as errors, and prints what the ``text`` block right after it shows; without one it
prints nothing. ``redis://localhost`` in it is a server of the tests' own. What has a ``__main__`` guard runs under each start method, unless it chooses one.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from support import METHODS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("guide/*.md")),
    ROOT / "docs/differences.md",
]
LINKING = sorted({*PAGES, *(ROOT / "docs").glob("*.md")})
SECONDS = 45
SERVER = "redis://localhost"

BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\s*^```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
GUARD = 'if __name__ == "__main__":\n'


class Example(NamedTuple):
    page: Path
    line: int
    code: str
    printed: str

    @property
    def name(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def examples_of(page):
    text = page.read_text()
    for match in BLOCK.finditer(text):
        yield Example(page, text.count("\n", 0, match.start()) + 1, match[1], match[2] or "")


EXAMPLES = [example for page in PAGES for example in examples_of(page)]


def variants():
    """Each example as it stands, or under each start method."""
    for example in EXAMPLES:
        if GUARD not in example.code or re.search(r"_start_method\(|get_context\(", example.code):
            yield pytest.param(example, example.code, id=example.name)
            continue
        module = "mp" if "import procession as mp" in example.code else "multiprocessing"
        for method in METHODS:
            set_method = f"{GUARD}    {module}.set_start_method({method!r})\n"
            code = example.code.replace(GUARD, set_method)
            yield pytest.param(example, code, id=f"{example.name}-{method}")


def run_script(script):
    """Runs it, and ends whatever it has started if it takes too long."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", script.name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=script.parent,
        env={**os.environ, "PROCESSION_FAMILY_DIR": str(script.parent)},
        start_new_session=True,
    )
    try:
        return (*process.communicate(timeout=SECONDS), process.returncode)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


VARIANTS = list(variants())


@pytest.mark.parametrize("example, code", [v for v in VARIANTS if SERVER not in v.values[1]])
def test_example(example, code, tmp_path):
    check(example, code, tmp_path)


@pytest.mark.parametrize("example, code", [v for v in VARIANTS if SERVER in v.values[1]])
def test_example_with_a_server(example, code, tmp_path, remote_server):
    check(example, code.replace(SERVER, remote_server.url(lease=2, keep=2)), tmp_path)


def check(example, code, tmp_path):
    script = tmp_path / "example.py"
    script.write_text(code)
    printed, complaints, status = run_script(script)
    assert (complaints, status) == ("", 0)
    assert printed == example.printed
    left = {each.name for each in tmp_path.iterdir()} - {"example.py", "__pycache__"}
    assert not left, left


def test_every_page_has_examples():
    without = {page.name for page in PAGES} - {example.page.name for example in EXAMPLES}
    assert without <= {"differences.md"}, without


def test_no_block_is_overlooked():
    """A fence that is indented, or spelled otherwise, would not be run."""
    for page in PAGES:
        fences = re.findall(r"^[ \t]*(`{3,}|~{3,})[ \t]*(\S.*)$", page.read_text(), re.MULTILINE)
        kinds = {info for _, info in fences}
        assert kinds <= {"python", "text", "sh", "rust"}, f"{page}: {kinds}"
        assert sum(info == "python" for _, info in fences) == len(list(examples_of(page)))


def anchors(page):
    """The names that a page's headings have, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        where = (page.parent / path).resolve() if path else page
        assert where.exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(where), f"{page}: {target}"


def test_the_commands_are_there():
    pages = "".join(page.read_text() for page in PAGES)
    commands = set(re.findall(r"python -m procession (\w+)", pages))
    assert commands
    for command in commands:
        asked = [sys.executable, "-m", "procession", command, "--help"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, f"{command}: {done.stderr}"


def test_the_guide_has_a_line_for_each_page():
    index = (ROOT / "docs/guide/README.md").read_text()
    for page in (ROOT / "docs/guide").glob("*.md"):
        assert page.name == "README.md" or f"({page.name}" in index, page.name


def test_every_difference_has_a_test():
    """Each is followed by ``Shown by `file::name` ``, and that is there."""
    page = (ROOT / "docs/differences.md").read_text()
    rows = [row for row in page.splitlines() if row.startswith("| ") and "---" not in row]
    rows = [row for row in rows if not row.endswith("| why | shown by |")]
    assert rows
    for row in rows:
        shown_by = re.findall(r"`([\w/.]+)::(\w+)`", row.split("|")[-2])
        assert shown_by, row
        for file, name in shown_by:
            path = ROOT / "tests" / file
            assert path.exists(), f"no {file}: {row}"
            assert re.search(rf"(def|fn) {name}\(", path.read_text()), f"no {file}::{name}: {row}"
