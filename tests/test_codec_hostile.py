"""The decoder trusts nothing: bytes that nobody wrote give a clean error, and nothing leaks."""

import gc
import pickle
import random
import struct
import sys

import pytest
from codec_support import Maker

from procession import _core

PLAIN, SMALL_BUFFERS = 1, 4


def tries(message):
    """Decodes what may be anything: a clean error or an object."""
    try:
        _core.decode(message)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("seed", range(4))
def test_no_bytes_hurt_the_decoder(seed):
    rng = random.Random(seed)
    outcomes = set()
    for number in range(5000):
        noise = bytes([PLAIN]) + rng.randbytes(rng.randrange(60))
        outcomes.add(tries(noise))
        good = bytearray(_core.encode(Maker(seed * 5000 + number).object(3)))
        if good[0] == PLAIN and len(good) > 1:
            assert not tries(bytes(good[: rng.randrange(1, len(good))]))
            assert not tries(bytes(good) + b"\x00")
            for _ in range(1 + rng.randrange(3)):
                good[rng.randrange(1, len(good))] = rng.choice(
                    [rng.randrange(256), 0xDD, 0xDF, 0xC9, 0xDB, 0xFF]
                )
            outcomes.add(tries(bytes(good)))
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    "message",
    [
        "",
        "00",
        "07",
        "ff",
        "01",
        "01c1",
        "0193",
        "01ddffffffff",
        "01dfffffffff",
        "01dbffffffff",
        "01c6ffffffff",
        "01c9ffffffff01",
        "01c900000001",
        "01c9000000020480",
        "01c9000000010180",
        "01819101",
        "0181918001",
        "0181809001",
        "01c900000003029190",
        "01a1ff",
        "01a2c328",
        "01a3eda080",
        "04",
        "04" + "ff" * 16,
        "04" + "00" * 15,
    ],
)
def test_messages_that_nobody_wrote(message):
    with pytest.raises(ValueError):
        _core.decode(bytes.fromhex(message))


def test_nesting_that_nobody_wrote():
    for marker in (b"\x91", b"\x81\x00", b"\xc9\x00\x00\x00\xff\x01\x91"):
        with pytest.raises(ValueError):
            _core.decode(bytes([PLAIN]) + marker * 100000 + b"\x00")


def test_the_table_of_buffers_is_checked():
    stream = pickle.dumps(1)
    rng = random.Random(7)
    sizes = [0, 1, 2, 8, len(stream) - 1, len(stream) + 1, 1 << 31, 1 << 62, (1 << 64) - 1]
    for _ in range(2000):
        table = [rng.choice(sizes) for _ in range(2 + rng.randrange(3))]
        tail = stream[: rng.randrange(len(stream))]
        try:
            _core.decode(bytes([SMALL_BUFFERS]) + struct.pack(f"<{len(table)}Q", *table) + tail)
        except (ValueError, EOFError, pickle.UnpicklingError, IndexError):
            pass


def test_decoding_leaks_nothing():
    rng = random.Random(3)
    messages = [_core.encode(Maker(seed).object()) for seed in range(100)]
    messages = [message for message in messages if message[0] == PLAIN]
    messages += [message[: rng.randrange(1, len(message))] for message in messages]
    blocks = []
    for _ in range(4):
        for _ in range(10):
            for message in messages:
                tries(message)
        gc.collect()
        blocks.append(sys.getallocatedblocks())
    assert blocks[-1] - blocks[1] < 50
