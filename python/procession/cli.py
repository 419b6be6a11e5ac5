"""The command line: `procession` and `python -m procession`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from procession import __version__


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="procession",
        description="A drop-in for Python's multiprocessing, with queues in shared memory.",
    )
    parser.add_argument("--version", action="version", version=f"procession {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="count the words of a folder's files, on Procession and on multiprocessing",
        description="Counts the words of a folder's files with a reader process, worker processes"
        " and a collector, once on Procession and once on multiprocessing, and holds both against"
        " a single process. Exit status: 0 if all counts are equal, 1 if not or if a process"
        " failed, 2 if the folder cannot be used.",
    )
    demo.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        help="all files below it are read (default: the *.py files of Python's standard library)",
    )
    demo.add_argument(
        "--workers",
        metavar="N",
        type=_positive,
        default=max(2, len(os.sched_getaffinity(0)))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 2,
        help="worker processes (default: one per core, %(default)s here)",
    )
    demo.add_argument("--json", action="store_true", help="print the report as JSON")
    demo.add_argument(
        "--start-method",
        metavar="METHOD",
        choices=["fork", "spawn", "forkserver"],
        help="fork, spawn or forkserver (default: the platform's)",
    )
    run = commands.add_parser(
        "run",
        help="run a program with Procession in the place of multiprocessing",
        usage="%(prog)s [-h] [-m] PROGRAM [ARGUMENTS ...]",
        description="Runs a Python program as it stands, with Procession for its multiprocessing:"
        " in the program, in the libraries that it uses, and in all processes that it starts by"
        " their means. The exit status is the program's.",
    )
    run.add_argument("-m", dest="as_module", action="store_true", help="PROGRAM is a module's name")
    run.add_argument("program", metavar="PROGRAM", help="a script, or a folder or zip file of one")
    run.add_argument("arguments", metavar="ARGUMENTS", nargs=argparse.REMAINDER)
    doctor = commands.add_parser(
        "doctor",
        help="say what this machine, or a server, offers, and what stands in the way",
        description="Tries what Procession needs, and looks at the limits of this machine; with an"
        " address, at a Valkey or Redis server, and says which of its settings would lose data."
        " Exit status: 0 if all is well, 1 if something stands in the way, 2 if the address cannot"
        " be read.",
    )
    doctor.add_argument("url", metavar="URL", nargs="?", help="redis://…, rediss://… or unix://…")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    _add_worker(commands)
    return parser


def _add_worker(commands: Any) -> None:
    worker = commands.add_parser(
        "worker",
        help="serve the pools of a Valkey or Redis server with this machine's processes",
        description="Serves procession.Pool(backend=ADDRESS) of any machine with processes of this"
        " one. It runs whatever those want who may write to the server, unless --no-pickle says"
        " otherwise: let nobody else write there. SIGTERM: takes no more tasks, and ends when those"
        " are done that it has; a second one, or Ctrl-C, ends it at once. Exit status: 0, 1 if"
        " tasks were under way, 2 if the server cannot be used.",
    )
    worker.add_argument(
        "address",
        metavar="ADDRESS",
        nargs="?",
        default=os.environ.get("PROCESSION_SERVER_URL"),
        help="redis://[user:password@]host[:port][/db] (default: PROCESSION_SERVER_URL, by which no"
        " password stands among the arguments that others can read)",
    )
    worker.add_argument("--name", metavar="NAME", help="what stats() call it")
    worker.add_argument(
        "--processes",
        metavar="N",
        type=_positive,
        default=_cores(),
        help="how many (default: one per core, %(default)s here)",
    )
    worker.add_argument(
        "--queue",
        metavar="NAME",
        default="default",
        help="serve pools of this queue only (default: %(default)s)",
    )
    worker.add_argument(
        "--max-tasks", metavar="N", type=_positive, help="end after so many tasks (chunks of items)"
    )
    worker.add_argument(
        "--no-pickle",
        action="store_true",
        help="take only functions that are found by their names in a module, and plain data",
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _worker(options: Any) -> int:
    if options.address is None:
        print("procession worker: which server? Say its ADDRESS", file=sys.stderr)
        return 2
    from procession.remote import worker

    return worker.main(
        options.address,
        processes=options.processes,
        queue=options.queue,
        name=options.name,
        max_tasks=options.max_tasks,
        no_pickle=options.no_pickle,
    )


def _run(program: str, arguments: list[str], as_module: bool) -> int:
    from procession import _run

    try:
        return _run.main(program, arguments, as_module)
    except Exception as error:
        # As Python does it, but beginning with the program's own frames.
        error.__traceback__ = _run.without_ours(error.__traceback__)
        shown = type(error), error, error.__traceback__
        sys.last_type, sys.last_value, sys.last_traceback = shown
        sys.excepthook(*shown)
        return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    if options.command == "run":
        return _run(options.program, options.arguments, options.as_module)
    try:
        if options.command == "worker":
            return _worker(options)
        if options.command == "doctor":
            if options.url is not None:
                from procession import _serverdoctor

                return _serverdoctor.main(options.url, options.json)
            from procession import _doctor

            return _doctor.main(options.json)
        from procession import demo

        return demo.main(options.folder, options.workers, options.json, options.start_method)
    except KeyboardInterrupt:
        print("procession: interrupted", file=sys.stderr)
        return 130
