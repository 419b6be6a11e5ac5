"""A one-way pipe: a child sends, the parent receives until EOFError says that this was all.

Run it with: python pipe_one_way.py [--method fork|spawn|forkserver]
"""

import argparse

import procession as mp


def send(writer):
    for word in ("one", "two", "three"):
        writer.send(word)
    # The child's end is closed when the child ends, however it ends.


def main():
    reader, writer = mp.Pipe(duplex=False)
    child = mp.Process(target=send, args=(writer,))
    child.start()
    writer.close()  # the parent's copy: as long as one is open, the end cannot come

    try:
        while True:
            print("received", reader.recv())
    except EOFError:
        print("the end")
    child.join()
    reader.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=mp.get_all_start_methods())
    mp.set_start_method(parser.parse_args().method)
    main()
