"""How fast LifoQueue and PriorityQueue are beside Queue, for numbers: python bench/queues.py [ROUNDS]

Each round measures the three one after the other, in each case; what counts is the ratio to Queue within a round.
"""

import statistics
import sys
import time

import procession

N = 100_000
KINDS = ("Queue", "LifoQueue", "PriorityQueue")


def scattered(n):
    return n * 2654435761 & 0xFFFFFFFF


def put_all(q, numbers):
    for n in numbers:
        q.put(n)


def get_all(q, count):
    for _ in range(count):
        q.get()


def one_process(ctx, kind, order):
    q = getattr(ctx, kind)()
    numbers = [order(n) for n in range(N)]
    start = time.perf_counter()
    for n in numbers:
        q.put(n)
        q.get()
    return time.perf_counter() - start


def between(pairs, maxsize):
    def measure(ctx, kind, order):
        q, numbers = getattr(ctx, kind)(maxsize), [order(n) for n in range(N // pairs)]
        go = ctx.Barrier(2 * pairs)

        def role(work, *args):
            go.wait()
            work(q, *args)

        others = [ctx.Process(target=role, args=(put_all, numbers)) for _ in range(pairs)]
        others += [ctx.Process(target=role, args=(get_all, len(numbers))) for _ in range(pairs - 1)]
        for other in others:
            other.start()
        go.wait()
        start = time.perf_counter()
        get_all(q, len(numbers))
        for other in others:
            other.join()
        return time.perf_counter() - start

    return measure


CASES = {
    "one process, put and get": one_process,
    "1 to 1, unbounded": between(1, 0),
    "1 to 1, at most 1,000": between(1, 1000),
    "4 to 4, at most 1,000": between(4, 1000),
}


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    ctx = procession.get_context("fork")
    for order in (int, scattered):
        for name, case in CASES.items():
            times = {kind: [] for kind in KINDS}
            for _ in range(rounds):
                for kind in KINDS:
                    times[kind].append(case(ctx, kind, order) / N * 1e9)
            print(f"{name}, numbers {'in order' if order is int else 'in no order'}:")
            for kind in KINDS:
                ratios = [t / of for t, of in zip(times[kind], times["Queue"])]
                print(
                    f"  {kind:13} {statistics.median(times[kind]):6.0f} ns,"
                    f" {statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"
                )


if __name__ == "__main__":
    main()
