"""A pool's workers share a plain queue and a lock.

Run it with: python pool_queue.py [--method fork|spawn|forkserver]

The queue goes as an argument of each task, which multiprocessing refuses. The lock is the standard
library's, and goes in the way that this allows: as an argument of the workers' initializer.
"""

import argparse

import procession as mp


def begin(shared_lock):
    """Runs once in each worker, before its first task."""
    global lock
    lock = shared_lock


def square(number, queue):
    with lock:  # the two messages stay together
        queue.put(number)
        queue.put(number * number)


def main():
    queue = mp.Queue()
    with mp.Pool(3, initializer=begin, initargs=(mp.Lock(),)) as pool:
        pool.starmap(square, [(number, queue) for number in range(10)])
        pool.close()
        pool.join()

    squares = {queue.get(): queue.get() for _ in range(10)}
    for number, its_square in sorted(squares.items()):
        print(number, "->", its_square)
    print("left in the queue:", queue.qsize())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=mp.get_all_start_methods())
    mp.set_start_method(parser.parse_args().method)
    main()
