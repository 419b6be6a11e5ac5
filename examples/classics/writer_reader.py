"""One process writes, another reads for ever and is terminated when there is nothing left to read.

Run it with: python writer_reader.py [--method fork|spawn|forkserver]

It dies inside get(), or just before. The queue is none the worse: others go on with it. (With
multiprocessing it mostly takes a lock with it, and then the parent's get at the end hangs.)
"""

import argparse

import procession as mp


def write(queue):
    for word in ("one", "two", "three"):
        print("write", word, flush=True)
        queue.put(word)


def read(queue):
    while True:
        print("read", queue.get(), flush=True)
        queue.task_done()


def main():
    queue = mp.JoinableQueue()
    writer = mp.Process(target=write, args=(queue,))
    reader = mp.Process(target=read, args=(queue,))
    writer.start()
    reader.start()

    writer.join()  # everything is in the queue
    queue.join()  # everything is read: task_done was called for each message
    reader.terminate()
    reader.join()
    print("the reader was ended by signal", -reader.exitcode)

    queue.put("four")
    print("the parent read", queue.get())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=mp.get_all_start_methods())
    mp.set_start_method(parser.parse_args().method)
    main()
