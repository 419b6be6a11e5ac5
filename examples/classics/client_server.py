"""Lines that you type go through a queue to a server process, which stores and echoes them.

Run it with: python client_server.py FILE [--method fork|spawn|forkserver]

Ctrl-D or Ctrl-C ends it. What was typed is in FILE then.
"""

import argparse
import signal
import sys

import procession as mp


def serve(lines, path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the client; it says when to end
    with open(path, "a", encoding="utf-8") as file:
        while (line := lines.get()) is not None:
            print(line, file=file, flush=True)
            print("stored:", line, flush=True)


def main(path):
    lines = mp.Queue()
    server = mp.Process(target=serve, args=(lines, path))
    server.start()
    try:
        for line in sys.stdin:
            lines.put(line.rstrip("\n"))
    except KeyboardInterrupt:
        pass
    lines.put(None)
    server.join()
    sys.exit(server.exitcode)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("file", metavar="FILE", help="where the lines are stored")
    parser.add_argument("--method", choices=mp.get_all_start_methods())
    arguments = parser.parse_args()
    mp.set_start_method(arguments.method)
    main(arguments.file)
