"""A pool over a server while workers and the server are killed and cables are cut: each result comes once."""

import pytest
from chaos_support import Scene
from chaos_worker import task

import procession

TASKS = 10_000


@pytest.mark.timeout(200)
def test_each_result_comes_once():
    with Scene(hosts=3, lease=2, timeout=60) as scene:
        workers = [scene.start(host, "worker", "--processes", 2) for host in range(3)]
        found = []
        evils = ["kill", 1, "slow", "server", 3, "kill", "fast", 1, "server"]
        with procession.Pool(backend=scene.url(), retries=20) as pool:
            results = pool.imap_unordered(task, range(TASKS), chunksize=5)
            for i, evil in enumerate(evils, 1):
                while len(found) < i * TASKS // (len(evils) + 1):
                    found.append(results.next(timeout=60))
                if evil == "slow":
                    scene.hosts[0].slow(delay=0.002, loss=0.01)
                elif evil == "fast":
                    scene.hosts[0].slow()
                else:
                    scene.befall(evil, workers)
            while len(found) < TASKS:
                found.append(results.next(timeout=60))
            with pytest.raises(StopIteration):
                results.next(timeout=60)
        pool.join()
        assert sorted(found) == [(number, number * number) for number in range(TASKS)]
