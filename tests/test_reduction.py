"""The pickler: the standard library's registered reducers, whenever they were registered."""

import copyreg
import functools
import io
import multiprocessing.reduction
import pickle
import socket
from multiprocessing import connection

import pytest

import procession as mp
from procession import reduction


class Odd:
    def __init__(self, value):
        self.value = value


class Odder(Odd):
    pass


class Meta(type):
    pass


def make(value):
    return ("reduced", value)


@pytest.fixture
def tables():
    extra = multiprocessing.reduction.ForkingPickler._extra_reducers
    before = dict(extra), dict(copyreg.dispatch_table)
    yield
    extra.clear()
    extra.update(before[0])
    copyreg.dispatch_table.clear()
    copyreg.dispatch_table.update(before[1])


def passed(obj):
    queue = mp.Queue()
    queue.put(obj)
    return queue.get()


def test_what_is_registered_later_counts(tables):
    assert passed(Odd(1)).value == 1
    multiprocessing.reduction.ForkingPickler.register(Odd, lambda odd: (make, (odd.value,)))
    assert passed([Odd(1)]) == [("reduced", 1)]
    assert type(passed(Odder(2))) is Odder
    multiprocessing.reduction.register(Odder, lambda odd: (make, (odd.value + 1,)))
    assert passed(Odder(2)) == ("reduced", 3)
    reduction.register(Odd, lambda odd: (make, ("again",)))
    assert passed(Odd(1)) == ("reduced", "again")


def test_copyreg_counts(tables):
    copyreg.pickle(Odd, lambda odd: (make, (odd.value,)))
    assert passed(Odd(1)) == ("reduced", 1)
    multiprocessing.reduction.register(Odd, lambda odd: (make, ("registered",)))
    assert passed(Odd(1)) == ("reduced", "registered")


def test_a_registered_reducer_comes_before_by_value(tables):
    local = Meta("Local", (), {})
    multiprocessing.reduction.register(Meta, lambda cls: (make, (cls.__name__,)))
    assert passed(local) == ("reduced", "Local")


def test_the_standard_librarys_reducers():
    assert passed([1].append).__self__ == [1]
    assert passed(str.upper)("a") == "A"
    assert passed(int.__add__)(1, 2) == 3
    assert passed(functools.partial(divmod, 7))(2) == (3, 1)
    assert passed(Odd(3).__init__).__self__.value == 3


def test_connections_and_sockets_within_a_process():
    one, two = connection.Pipe()
    first, second = socket.socketpair()
    with one, two, first, second:
        got, sock = passed((two, second))
        with got, sock:
            got.send("hello")
            assert one.recv() == "hello"
            sock.sendall(b"hello")
            assert first.recv(10) == b"hello"
    from multiprocessing import resource_sharer

    resource_sharer.stop(timeout=20)


def test_dumps():
    buffer = bytearray(b"x" * 100)
    data, buffers = reduction.dumps([buffer, pickle.PickleBuffer(buffer)])
    assert type(data) is bytes and [type(b) for b in buffers] == [pickle.PickleBuffer]
    assert buffers[0].raw().obj is buffer
    again, view = reduction.loads(data, buffers=[b"y" * 100])
    assert again == buffer and bytes(view) == b"y" * 100


def test_dump_and_the_class():
    file = io.BytesIO()
    reduction.dump({"a": Odd}, file)
    assert pickle.loads(file.getvalue()) == {"a": Odd}
    assert pickle.loads(reduction.Pickler.dumps(lambda: 5))() == 5
    assert issubclass(reduction.Pickler, multiprocessing.reduction.ForkingPickler)
    assert reduction.ForkingPickler is multiprocessing.reduction.ForkingPickler


def test_exports():
    for name in multiprocessing.reduction.__all__:
        assert hasattr(reduction, name)
    assert reduction.HAVE_SEND_HANDLE is True


def test_a_reducer_may_use_the_queue(tables):
    inner = mp.Queue()

    def reduce(odd):
        inner.put(odd.value)
        return make, (inner.get(),)

    multiprocessing.reduction.register(Odd, reduce)
    assert passed([Odd(1), Odd(2)]) == [("reduced", 1), ("reduced", 2)]


def test_what_reducers_return_is_pickles_business(tables):
    multiprocessing.reduction.register(Odd, lambda odd: 5)
    queue = mp.Queue()
    with pytest.raises(pickle.PicklingError):
        queue.put(Odd(1))
    assert queue.empty()
