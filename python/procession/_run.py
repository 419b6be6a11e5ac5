"""`python -m procession run`: a program as it stands, with Procession for its `multiprocessing`.

The program becomes `__main__`, as if Python had been given it: so its children find it, under every
start method, and what it leaves running at its end (threads, exit functions) still sees it.
"""

from __future__ import annotations

import builtins
import io
import os
import pkgutil
import runpy
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType, TracebackType
from typing import Any

# The module that was `__main__` so far: its code is still being run.
_predecessors: list[ModuleType] = []


def main(program: str, arguments: list[str], as_module: bool) -> int:
    """Runs a script, a folder or zip file with a `__main__.py`, or (`as_module`) a module.

    Returns 0 when it has come to its end, 2 if there is no such file; its exceptions go through,
    `SystemExit` as well.
    """
    import procession

    procession.install()
    run: Any = vars(runpy)["_run_module_as_main"]  # what `python -m` calls, under each version
    if as_module:
        _first_in_path(os.getcwd())
        sys.argv[:] = ["-m", *arguments]
        _new_main()
        run(program)
    elif pkgutil.get_importer(program) is not None:
        _first_in_path(program)
        sys.argv[:] = [program, *arguments]
        _new_main()
        run("__main__", False)
    else:
        return _run_file(program, arguments)
    return 0


def without_ours(traceback: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that begins with the program itself."""
    ours = ("procession", "runpy")
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__"))
        if module.partition(".")[0] not in ours:
            break
        traceback = traceback.tb_next
    return traceback


def _run_file(program: str, arguments: list[str]) -> int:
    path = os.path.abspath(program)
    try:
        with io.open_code(path) as file:
            code = pkgutil.read_code(file)
            if code is None:
                file.seek(0)
                code = compile(file.read(), path, "exec", dont_inherit=True)
    except OSError as error:
        print(f"procession: cannot open {path!r}: {error}", file=sys.stderr)
        return 2
    _first_in_path(os.path.dirname(os.path.realpath(path)))
    sys.argv[:] = [program, *arguments]
    main = _new_main()
    main.__file__ = path
    main.__loader__ = SourceFileLoader("__main__", path)
    vars(main)["__cached__"] = None
    exec(code, vars(main))
    return 0


def _new_main() -> ModuleType:
    _predecessors.append(sys.modules["__main__"])
    main = ModuleType("__main__")
    vars(main)["__builtins__"] = builtins
    # The second name is an alias that `import multiprocessing` makes.
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main
    return main


def _first_in_path(folder: str) -> None:
    """Puts the program's folder where Python had put ours."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = folder
