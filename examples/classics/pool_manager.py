"""A pool's workers share a manager's queue and lock.

Run it with: python pool_manager.py [--method fork|spawn|forkserver]

A manager is a process that keeps objects for others; what it hands out are proxies, which go
anywhere as arguments. Each use of one is a question to that process and its answer.
"""

import argparse

import procession as mp


def square(number, queue, lock):
    with lock:  # the two messages stay together
        queue.put(number)
        queue.put(number * number)


def main():
    with mp.Manager() as manager:
        queue, lock = manager.Queue(), manager.Lock()
        with mp.Pool(3) as pool:
            pool.starmap(square, [(number, queue, lock) for number in range(10)])
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
