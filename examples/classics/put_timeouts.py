"""A queue of three places: put and get that wait, wait for a while, or do not wait.

Run it with: python put_timeouts.py [--method fork|spawn|forkserver]
"""

import argparse
import time
from queue import Empty, Full

import procession as mp


def attempt(what, call):
    """Prints what a call returned or raised, and how long that took."""
    started = time.monotonic()
    try:
        result = f"returned {call()!r}"
    except (Empty, Full, ValueError) as error:
        result = f"raised {type(error).__name__}"
    print(f"{what}: {result} after {time.monotonic() - started:.1f} s")


def take_one(queue):
    queue.get()


def main():
    queue = mp.Queue(3)
    for word in ("one", "two", "three"):
        attempt("put", lambda word=word: queue.put(word))

    attempt("put, time-out 0.2", lambda: queue.put("four", timeout=0.2))
    attempt("put, block=False", lambda: queue.put("four", block=False))
    attempt("put_nowait", lambda: queue.put_nowait("four"))

    child = mp.Process(target=take_one, args=(queue,))
    child.start()
    attempt("put, time-out 60, and a child takes one", lambda: queue.put("four", timeout=60))
    child.join()

    for _ in range(3):
        attempt("get", queue.get)
    attempt("get, time-out 0.2", lambda: queue.get(timeout=0.2))
    attempt("get, block=False", lambda: queue.get(block=False))
    attempt("get_nowait", queue.get_nowait)

    queue.close()  # for this process only
    attempt("put after close", lambda: queue.put("five"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=mp.get_all_start_methods())
    mp.set_start_method(parser.parse_args().method)
    main()
