"""A queue across a bare os.fork, and the same queue in a Process.

Run it with: python fork_queue.py [--method fork|spawn|forkserver]

The child of a fork has the queues because it has all that its parent has; a Process is handed them.
What the child has put is there, so it may end as it likes. (With multiprocessing it would have to
call answers.close() and answers.join_thread() first, or might leave a lock held.)
"""

import argparse
import os

import procession as mp


def double(numbers, answers):
    """The child: answers each number with its double, until None comes."""
    while (number := numbers.get()) is not None:
        answers.put(2 * number)


def ask(numbers, answers):
    """The parent: puts three numbers, gets three answers, and tells the child that it may go."""
    for number in (1, 2, 3):
        numbers.put(number)
    doubled = [answers.get() for _ in range(3)]
    numbers.put(None)
    return doubled


def main():
    numbers, answers = mp.Queue(), mp.Queue()

    pid = os.fork()
    if pid == 0:
        double(numbers, answers)
        os._exit(0)  # the rest of the program is the parent's
    print("a child of os.fork answers", ask(numbers, answers))
    os.waitpid(pid, 0)

    child = mp.Process(target=double, args=(numbers, answers))
    child.start()
    print("a Process answers", ask(numbers, answers))
    child.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=mp.get_all_start_methods())
    mp.set_start_method(parser.parse_args().method)
    main()
