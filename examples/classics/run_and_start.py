"""Process.run is an ordinary call, in this process; Process.start runs it in a new one.

Run it with: python run_and_start.py [--method fork|spawn|forkserver]
"""

import argparse
import os

import procession as mp


def report(how, parent):
    where = "in the parent" if os.getpid() == parent else "in a process of its own"
    print(f"{how}: {where}, under the name {mp.current_process().name}", flush=True)


class Reporter(mp.Process):
    """The other way to say what a process does: a run method of one's own."""

    def __init__(self, how, parent):
        super().__init__(name="Reporter")
        self.how = how
        self.parent = parent

    def run(self):
        report(self.how, self.parent)


def main():
    me = os.getpid()
    mp.Process(target=report, args=("run()", me), name="Child").run()

    child = mp.Process(target=report, args=("start()", me), name="Child")
    child.start()
    child.join()

    Reporter("a subclass, run()", me).run()

    reporter = Reporter("a subclass, start()", me)
    reporter.start()
    reporter.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=mp.get_all_start_methods())
    mp.set_start_method(parser.parse_args().method)
    main()
