"""Producers stop when the queue is full(), consumers when it is empty().

Run it with: python full_and_empty.py [--method fork|spawn|forkserver]

The answers are exact, but only at the moment of asking: another process may come before the put or
get that follows. So the question and what follows are done under one lock.
"""

import argparse

import procession as mp


def produce(queue, lock):
    while True:
        with lock:
            if queue.full():
                return
            queue.put("a message")


def consume(queue, lock, taken):
    count = 0
    while True:
        with lock:
            if queue.empty():
                break
            queue.get()
        count += 1
    taken.put(count)


def run(target, *args):
    """Runs three processes of a kind, to their end."""
    processes = [mp.Process(target=target, args=args) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def main():
    queue, taken, lock = mp.Queue(maxsize=100), mp.Queue(), mp.Lock()

    run(produce, queue, lock)
    print("the producers stopped at", queue.qsize(), "messages; full:", queue.full())

    run(consume, queue, lock, taken)
    total = sum(taken.get() for _ in range(3))
    print("the consumers took", total, "messages; empty:", queue.empty())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=mp.get_all_start_methods())
    mp.set_start_method(parser.parse_args().method)
    main()
