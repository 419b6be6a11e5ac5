"""A thread puts numbers; one process takes the odd, one the even, and each puts back the others.

Run it with: python odd_even.py [--method fork|spawn|forkserver]

The queue counts the messages that were put and are not yet done; join() waits until there are none.
"""

import argparse
import threading

import procession as mp

NUMBERS = 20


def consume(name, rest, queue, results):
    mine = []
    while (number := queue.get()) is not None:
        if number % 2 == rest:
            mine.append(number)
        else:
            queue.put(number)  # before task_done, or join() could return too early
        queue.task_done()
    results.put((name, sorted(mine)))


def produce(queue):
    for number in range(NUMBERS):
        queue.put(number)


def main():
    queue, results = mp.JoinableQueue(), mp.Queue()
    consumers = [
        mp.Process(target=consume, args=("odd", 1, queue, results)),
        mp.Process(target=consume, args=("even", 0, queue, results)),
    ]
    for consumer in consumers:
        consumer.start()  # before there is a thread: forks and threads do not go together well

    producer = threading.Thread(target=produce, args=(queue,))
    producer.start()
    producer.join()  # all numbers are put
    queue.join()  # and all have found their consumer

    for _ in consumers:
        queue.put(None)
    for name, numbers in sorted(results.get() for _ in consumers):
        print(name, numbers)
    for consumer in consumers:
        consumer.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=mp.get_all_start_methods())
    mp.set_start_method(parser.parse_args().method)
    main()
