"""Ten processes put two messages each; under a lock the two stay together.

Run it with: python pairs_under_lock.py [--method fork|spawn|forkserver]

A put has happened when it returns, so a lock around two of them keeps all others out. (The puts of
multiprocessing happen later, in a thread, when the lock may long be released.)
"""

import argparse

import procession as mp

PROCESSES = 10


def put_pair(number, queue, lock):
    with lock:
        queue.put((number, "left"))
        queue.put((number, "right"))


def main():
    queue, lock = mp.Queue(), mp.Lock()
    processes = [mp.Process(target=put_pair, args=(n, queue, lock)) for n in range(PROCESSES)]
    for process in processes:
        process.start()

    together = 0
    for _ in processes:
        left, right = queue.get(), queue.get()
        print(*left, "-", *right)
        together += left[0] == right[0]
    print(together, "of", PROCESSES, "pairs are together")

    for process in processes:
        process.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=mp.get_all_start_methods())
    mp.set_start_method(parser.parse_args().method)
    main()
