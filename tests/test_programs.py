"""Programs of other people's making, unchanged, over Procession."""

import pytest
from support import each_method, run, script

FUTURES = """
import sys, multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

def square(x):
    return x * x, multiprocessing.__name__

def die():
    import os
    os._exit(3)

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    with ProcessPoolExecutor(2) as executor:
        assert type(executor._result_queue).__module__ == "procession.queues"
        assert list(executor.map(square, range(20))) == [(x * x, "procession") for x in range(20)]
        futures = [executor.submit(square, x) for x in range(10)]
        assert sorted(f.result()[0] for f in as_completed(futures)) == [x * x for x in range(10)]
        try:
            executor.submit(die).result(timeout=20)
        except BrokenProcessPool:
            print("well")
"""


@each_method
def test_concurrent_futures(method, tmp_path):
    assert run("-m", "procession", "run", script(tmp_path, FUTURES), method) == "well\n"


EARLY = """
import concurrent.futures.process
import procession

procession.install()
import multiprocessing, sys

def square(x):
    return x * x

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    assert context.Queue().__class__.__module__ == "procession.queues"
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        print(list(executor.map(square, range(3))))
"""


@each_method
def test_concurrent_futures_that_were_imported_before(method, tmp_path):
    assert run(script(tmp_path, EARLY), method) == "[0, 1, 4]\n"


LOGGING = """
import logging, logging.handlers, multiprocessing, sys

def work(queue, n):
    logger = logging.getLogger("worker")
    logger.addHandler(logging.handlers.QueueHandler(queue))
    logger.setLevel(logging.INFO)
    logger.info("message %d of %s", n, multiprocessing.current_process().name)

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    queue = multiprocessing.Queue()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(processName)s %(name)s %(message)s"))
    listener = logging.handlers.QueueListener(queue, handler)
    listener.start()
    for n in range(3):
        child = multiprocessing.Process(target=work, args=(queue, n), name=f"Ada-{n}")
        child.start()
        child.join()
        assert child.exitcode == 0
    listener.stop()
"""


@each_method
def test_logging_through_a_queue(method, tmp_path):
    out = run("-m", "procession", "run", script(tmp_path, LOGGING), method)
    assert out == "".join(f"Ada-{n} worker message {n} of Ada-{n}\n" for n in range(3))


JOBLIB = """
import sys, multiprocessing
from joblib import Parallel, delayed

def square(x):
    return x * x, multiprocessing.__name__

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    found = Parallel(n_jobs=2, backend="multiprocessing")(delayed(square)(x) for x in range(20))
    assert found == [(x * x, "procession") for x in range(20)]
    print("well")
"""


@each_method
def test_joblib(method, tmp_path):
    pytest.importorskip("joblib")
    assert run("-m", "procession", "run", script(tmp_path, JOBLIB), method) == "well\n"


TORCH = """
import sys
import torch.multiprocessing as mp

def fill(queue):
    import torch
    queue.put(torch.ones(3))

if __name__ == "__main__":
    context = mp.get_context(sys.argv[1])
    queue = context.Queue()
    child = context.Process(target=fill, args=(queue,))
    child.start()
    assert queue.get(timeout=40).sum() == 3
    child.join()
    print("well")
"""


@each_method
def test_torch(method, tmp_path):
    pytest.importorskip("torch")
    assert run("-m", "procession", "run", script(tmp_path, TORCH), method) == "well\n"
