"""A two-way pipe: the parent asks, the child answers, until the parent closes its end.

Run it with: python pipe_two_way.py [--method fork|spawn|forkserver]
"""

import argparse

import procession as mp


def answer(mine, parents):
    # A forked child has a copy of every open end. It closes its copy of the parent's one, or it
    # would keep open what it waits to see closed.
    parents.close()
    try:
        while True:
            mine.send(mine.recv().upper())
    except EOFError:
        print("child: nobody can ask any more")


def main():
    mine, childs = mp.Pipe()
    child = mp.Process(target=answer, args=(childs, mine))
    child.start()
    childs.close()

    for word in ("one", "two", "three"):
        mine.send(word)
        print("parent:", word, "->", mine.recv(), flush=True)
    mine.close()
    child.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=mp.get_all_start_methods())
    mp.set_start_method(parser.parse_args().method)
    main()
