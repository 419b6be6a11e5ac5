"""A lock on a server while its holders are killed and cut off: who holds it holds it alone."""

import pytest
from chaos_support import Scene
from support import LONG


@pytest.mark.timeout(200)
def test_holders_follow_one_another_in_the_order_of_their_tokens():
    rounds = 4 if LONG else 1
    with Scene(hosts=2, lease=1, timeout=60) as scene:
        holders = [scene.start(i % 2, "hold") for i in range(4)]
        for _ in range(rounds):
            for evil in ("kill", 0.3, "server", 1.5, "kill", 3):
                # Each time somebody has had it in between.
                start = scene.bytes_of("hold")
                scene.until(lambda start=start: scene.bytes_of("hold") > start + 2000, "progress")
                scene.befall(evil, holders)
        start = scene.bytes_of("hold")
        scene.until(lambda: scene.bytes_of("hold") > start + 2000, "progress after all")
        for holder in holders:
            holder.ask()
        for holder in holders:
            holder.end()
        lines = scene.lines("hold")
        assert ["!"] not in lines, "a lock that was lost was given back"
        taken = [int(words[1]) for words in lines if words[0] == "A"]
        assert len(set(taken)) == len(taken) > 200
        held = sorted(tuple(map(int, words[1:])) for words in lines if words[0] == "R")
        for (_token, _begin, end), (token, begin, _end) in zip(held, held[1:], strict=False):
            assert end <= begin, f"token {token} was given out while the one before it was valid"
        assert scene.family.remove("lock")
        scene.until(lambda: scene.left() == [], "what was left on the server")
