"""A pool's workers share a plain queue and a lock.

Run it with: python pool_queue.py [--method fork|spawn|forkserver]

Queue and lock go as arguments of each task, which multiprocessing refuses.
"""

import argparse

import procession as mp


def square(number, queue, lock):
    with lock:  # the two messages stay together
        queue.put(number)
        queue.put(number * number)


def main():
    queue, lock = mp.Queue(), mp.Lock()
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
