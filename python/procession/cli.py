"""The command line: `procession` and `python -m procession`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

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
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        from procession import demo

        return demo.main(options.folder, options.workers, options.json, options.start_method)
    except KeyboardInterrupt:
        print("procession: interrupted", file=sys.stderr)
        return 130
