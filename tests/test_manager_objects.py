"""Namespaces, values, arrays, queues and locks of managers: as the standard library's proxies."""

import array
import multiprocessing
import queue
import sys

import pytest
from manager_support import kind_of, lines, outcome

import procession as mp

pytestmark = pytest.mark.both_backends


@pytest.fixture(scope="module")
def theirs():
    with multiprocessing.Manager() as manager:
        yield manager


@pytest.fixture(scope="module")
def ours(backend):
    with mp.Manager() as manager:
        yield manager


def fail():
    raise ZeroDivisionError("on purpose")


SAME = {
    "Namespace": """
        n = m.Namespace(); str(n), repr(n)
        n = m.Namespace(b=1, a=[2], _c=3); str(n), n.b, n.a
        n = m.Namespace(); n.x = 1; n.x += 4; n.x
        n = m.Namespace(); n.nosuch
        n = m.Namespace(); n._nosuch
        n = m.Namespace(x=1); del n.x; n.x
        n = m.Namespace(x=1); n._own = 5; n._own, str(n)
        n = m.Namespace(x=1); hasattr(n, 'x'), hasattr(n, 'y'), getattr(n, 'y', 7)
        n = m.Namespace(x=1); n._getvalue(), vars(n._getvalue()), type(n._getvalue()).__name__
        n = m.Namespace(self=1, typeid=2, lock=3, keys=4, get=5); n.self, n.typeid, n.lock, n.keys, n.get
        n = m.Namespace(**{'not a name': 1}); getattr(n, 'not a name'), str(n)
        n = m.Namespace(x=1); setattr(n, '', 1)
        n = m.Namespace(x=1); getattr(n, '')
        n = m.Namespace(x=1); n == n, n != n, n == m.Namespace(x=1), hash(n) == hash(n)
        n = m.Namespace(x=1); [name for name in dir(n) if name[0] != '_']
        n = m.Namespace(l=[1]); n.l.append(2); n.l
        n = m.Namespace(l=m.list([1])); n.l.append(2); str(n.l)
        n = m.Namespace(f=len); n.f([1, 2])
        n = m.Namespace(x=1); n._callmethod('__getattribute__', ('x',))
        n = m.Namespace(x=1); n._callmethod('__setattr__', ('x', 2)), n.x
        n = m.Namespace(x=1); n._callmethod('__delattr__', ('x',)), str(n)
        import copy; n = m.Namespace(x=1); n is copy.deepcopy(n), copy.deepcopy(n)
    """,
    "Value": """
        v = m.Value('i', 5); v.value, v.get(), str(v), repr(v)
        v = m.Value('i', 5); v.value = 'any'; v.value, str(v)
        v = m.Value('i', 5); v.value += 1; v.set(v.get() * 2), v.value
        v = m.Value('i', 5, lock=False); v.value
        v = m.Value(typecode='no such code', value=None); v.value
        v = m.Value('i', 5); str(v._getvalue()), type(v._getvalue()).__name__
        v = m.Value('i', 5); v.nosuch
        v = m.Value('i', 5); v.set()
        v = m.Value('i', 5); del v.value
        v = m.Value('i', 5); len(v)
        v = m.Value('i', m.list([1])); v.value.append(3), str(v.value)
        v = m.Value('i', 5); v._callmethod('get'), v._callmethod('set', (3,)), v.value
        v = m.Value('i', 5); [name for name in dir(v) if name[0] != '_'], v._exposed_
        import copy; str(copy.deepcopy(m.Value('i', 5)))
    """,
    "Array": """
        a = m.Array('i', [1, 2, 3]); str(a), repr(a), len(a), list(a), tuple(a), sum(a), 2 in a, 9 in a
        a = m.Array('i', [1, 2, 3]); a[0], a[-1], a[True], a[1:], a[::-1], a[:], a[::2], a[9:]
        a = m.Array('i', [1, 2, 3]); a[3]
        a = m.Array('i', [1, 2, 3]); a['x']
        a = m.Array('i', [1, 2, 3]); a[1.5]
        a = m.Array('i', [1, 2, 3]); a[2**70]
        a = m.Array('i', [1, 2, 3]); a[::0]
        a = m.Array('i', [1, 2, 3]); a[0] = 7; a[-1] += 2; str(a)
        a = m.Array('i', [1, 2, 3]); a[0] = 'x'
        a = m.Array('i', [1, 2, 3]); a[0] = 2**40
        a = m.Array('i', [1, 2, 3]); a[0] = 1.5
        a = m.Array('i', [1, 2, 3]); a[3] = 1
        a = m.Array('i', [1, 2, 3]); a['x'] = 1
        a = m.Array('B', [255]); a[0] = 256
        a = m.Array('B', [255]); a[0] = -1
        a = m.Array('d', [1, 2, 3]); a[0] = 7; a[:], list(reversed(a))
        a = m.Array('i', [1, 2, 3]); a[1:] = array.array('i', [7, 8, 9]); str(a), len(a)
        a = m.Array('i', [1, 2, 3]); a[::2] = array.array('i', [7, 8]); str(a)
        a = m.Array('i', [1, 2, 3]); a[::2] = array.array('i', [7, 8, 9])
        a = m.Array('i', [1, 2, 3]); a[1:] = [7, 8]
        a = m.Array('i', [1, 2, 3]); a[1:] = array.array('d', [7, 8])
        a = m.Array('i', [1, 2, 3]); a[1:] = 5
        a = m.Array('i', [1, 2, 3]); a._getvalue(), a._exposed_
        a = m.Array('i', [1, 2, 3]); a.append(1)
        a = m.Array('f', [0.1]); a[0], str(a)
        a = m.Array('Q', [2**64 - 1]); a[0], str(a)
        a = m.Array('i', range(3), lock=False); str(a)
        a = m.Array('b', b'xy'); str(a)
        a = m.Array('i', []); str(a), len(a), list(a)
        a = m.Array('i', [1]); a == a, a == m.Array('i', [1])
        a = m.Array('i', [1]); a + a
        a = m.Array('i', [1]); a * 2
        a = m.Array('i', [1]); a._callmethod('__len__'), a._callmethod('__getitem__', (0,))
        import copy; a = m.Array('i', [1]); copy.deepcopy(a)
    """,
    "Queue": """
        type(m.Queue()).__name__, repr(m.Queue()), str(m.Queue()), sorted(m.Queue()._exposed_)
        type(m.JoinableQueue()).__name__, repr(m.JoinableQueue()), sorted(m.JoinableQueue()._exposed_)
        q = m.Queue(); q.put(1), q.put(item=2), q.qsize(), q.empty(), q.full(), q.get(), q.get_nowait()
        q = m.Queue(); q.get_nowait()
        q = m.Queue(); q.get(False)
        q = m.Queue(); q.get(True, 0.01)
        q = m.Queue(); q.get(timeout=0.01)
        q = m.Queue(); q.get(timeout=-1)
        q = m.Queue(); q.get(block=False, timeout='x')
        q = m.Queue(1); q.put(1), q.full(), q.put_nowait(2)
        q = m.Queue(1); q.put(1), q.put(2, timeout=0.01)
        q = m.Queue(maxsize=1); q.put(1), q.put(2, False)
        q = m.Queue(1); q.put(1), q.put(2, timeout=-1)
        q = m.Queue(-1); q.put(1), q.full()
        q = m.Queue(); q.task_done()
        q = m.Queue(); q.put(1), q.task_done(), q.task_done()
        q = m.JoinableQueue(2); q.put(1), q.get(), q.task_done(), q.join(), q.full()
        q = m.Queue(); q.join()
        q = m.Queue(); q.close()
        q = m.Queue(); q.cancel_join_thread()
        q = m.Queue(); q.nosuch
        q = m.Queue(); len(q)
        q = m.Queue(); bool(q), q == q
        q = m.Queue(); q._callmethod('put', (1,)), q._callmethod('qsize'), q._callmethod('get')
    """,
    "locks": """
        l = m.Lock(); repr(l), str(l), l.acquire(), str(l), l._exposed_
        l = m.Lock(); l.acquire(), l.acquire(False), l.acquire(True, 0.01), l.acquire(timeout=0.01), l.release()
        l = m.Lock(); l.acquire(blocking=False), l.release(), l.acquire(True, -1)
        l = m.Lock(); l.__enter__(), l.__exit__(None, None, None)
        l = m.Lock(); l.release()
        l = m.Lock(); l.acquire(False, 1)
        l = m.Lock(); l._callmethod('acquire'), l._callmethod('release')
        l = m.RLock(); repr(l), str(l), l.acquire(), l.acquire(), l.release(), l.release(), str(l)
        l = m.RLock(); l.release()
        l = m.RLock(); l.acquire(False, 1)
        l = m.RLock(); l.acquire(), l.release(), l.release()
        s = m.Semaphore(); repr(s), s.acquire(), s.acquire(False), s.release(), s.release(), s.acquire()
        s = m.Semaphore(2); s.acquire(), s.acquire(), s.acquire(True, 0.01), s.acquire(timeout=0)
        s = m.Semaphore(0); s.acquire(False, 1)
        s = m.Semaphore(value=0); s.acquire(True, -1)
        s = m.Semaphore(); s.__enter__(), s.__exit__(None, None, None)
        s = m.BoundedSemaphore(); repr(s), s.release()
        s = m.BoundedSemaphore(2); s.acquire(), s.acquire(), s.release(), s.release()
        b = m.Lock(); bool(b), b == b, b == m.Lock()
        e = m.Event(); repr(e), e.is_set(), e.set(), e.is_set(), e.wait(), e.wait(0), e.clear(), e.is_set(), e.wait(0.01)
        e = m.Event(); e.wait(-1), e.wait(timeout=0), e._exposed_
    """,
    "Condition": """
        c = m.Condition(); repr(c), str(c), c._exposed_
        c = m.Condition(); c.wait(0.01)
        c = m.Condition(); c.notify()
        c = m.Condition(); c.notify_all()
        c = m.Condition(); c.release()
        c = m.Condition(); c.acquire(), c.wait(0.01), c.notify(), c.notify(3), c.notify_all(), c.release()
        c = m.Condition(); c.acquire(), c.acquire(False), c.release(), c.release()
        c = m.Condition(); c.acquire(), c.wait_for(lambda: 7), c.wait_for(lambda: 0, 0.01), c.wait_for(lambda: None, timeout=0.01)
        c = m.Condition(); c.acquire(), c.wait(-1), c.wait(0)
        c = m.Condition(m.Lock()); c.acquire(), c.wait(0.01), c.release()
        c = m.Condition(m.Lock()); c.notify()
        c = m.Condition(lock=m.RLock()); c.acquire(), c.acquire(), c.release(), c.release()
        c = m.Condition(None); c.__enter__(), c.__exit__(None, None, None)
        c = m.Condition(m.Semaphore(1)); c.acquire(), c.wait(0.01)
        c = m.Condition(); c.notifyAll()
    """,
    "Barrier": """
        b = m.Barrier(1); repr(b), b.wait(), b.wait(1), b.parties, b.n_waiting, b.broken, b._exposed_
        b = m.Barrier(2); b.wait(0.01)
        b = m.Barrier(parties=2, action=None, timeout=0.01); b.wait()
        b = m.Barrier(2); b.abort(), b.broken, b.wait()
        b = m.Barrier(2); b.abort(), b.reset(), b.broken
        b = m.Barrier(1, fail); b.wait()
    """,
    "nesting": """
        d = m.dict(); d['x'] = m.list(); d['x'].append(1), str(d['x']), str(d)
        d = m.dict(x=m.list([1])); str(d.get('x')), str(d.values()[0]), str(d.items()[0][1]), str(d.pop('x'))
        d = m.dict(); d['l'] = m.Lock(); d['l'].acquire(), d['l'].acquire(False), d['l'].release()
        d = m.dict(); d['q'] = m.Queue(); d['q'].put(1), d['q'].get()
        d = m.dict(); d['d'] = d; str(d['d']['d'].keys())
        l = m.list(); l.append(l); len(l[0][0])
        l = m.list([m.dict()]); l[0]['a'] = 1; str(l[0]), l[0]['a']
        l = m.list([[]]); l[0].append(1); str(l)
        q = m.Queue(); q.put(m.list([1])), q.get().append(2)
        n = m.Namespace(l=m.list()); n.l += [1]; str(n.l)
    """,
    "copies": """
        import copy; d = m.dict(a=[1]); copy.deepcopy(d), type(copy.deepcopy({'d': d})['d']).__name__
        import copy; d = m.dict(a=[1]); e = copy.copy(d); e['b'] = 2; str(d)
        import copy; l = m.list([m.list([1])]); copy.deepcopy(l)
        import json; json.dumps(m.dict())
        import json; json.dumps(m.dict(a=1).copy())
        m.dict([('a', 1)], b=2)._getvalue(), m.dict(a=1, self=2)._getvalue(), m.dict(m.dict(a=1))._getvalue()
        m.list('abc')._getvalue(), m.list(m.list([1, 2]))._getvalue(), m.list(range(3))._getvalue()
        m.dict()._token.typeid, m.list()._token.typeid, m.dict()._exposed_, m.list()._exposed_
        d = m.dict(a=1); d._callmethod('get', ('a',)), d._callmethod('update', (), {'k': 3}), d._callmethod('keys')
        d = m.dict(a=1); d._callmethod('__getitem__', ('z',))
        d = m.dict(a=1); d._callmethod('__repr__'), d._callmethod('__str__'), d._callmethod('#GETVALUE')
        l = m.list([3, 1]); l._callmethod('sort', (), {'reverse': True}), l._callmethod('__getitem__', (0,)), str(l)
        l = m.list([3, 1]); l._callmethod('__getitem__', (9,))
        d, e = m.dict(), m.dict(); d == {}, m.list() == [], hash(d) == hash(e)
    """,
    "the manager": """
        m.nosuch
    """,
}
# What their server refuses to make is a RemoteError with the server's traceback; ours is the error itself.
REFUSED = """
    m.dict(1)
    m.dict([1])
    m.dict({}, {})
    m.dict([([], 1)])
    m.list(1)
    m.list([1], [2])
    m.list(sequence=[1])
    m.Namespace(1)
    m.Value('i')
    m.Array('i')
    m.Array('i', 5)
    m.Array('i', [1.5])
    m.Array('x', [1])
    m.Lock(1)
    m.Event(1)
    m.Semaphore(-1)
    m.Semaphore('x')
    m.Semaphore(1, 2)
    m.BoundedSemaphore(-1)
    m.Condition(5)
    m.Barrier()
    m.Queue(1, 2)
"""


@pytest.mark.parametrize("group", SAME)
def test_as_the_standard_librarys(ours, theirs, group):
    wrong = []
    for code in lines(SAME[group]):
        want, got = (
            outcome(code, m=theirs, array=array, fail=fail),
            outcome(code, m=ours, array=array, fail=fail),
        )
        if want != got:
            wrong.append(f"{code}: {got}, not {want}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(not hasattr(queue, "ShutDown"), reason="this Python's queues know no end")
@pytest.mark.parametrize("immediate", ["", "immediate=True", "False"])
def test_queues_that_are_shut_down(ours, theirs, immediate):
    for then in (
        "q.put(2)",
        "q.get(), q.get()",
        "q.get_nowait()",
        "q.task_done()",
        "q.join()" if "True" in immediate else "q.get(), q.task_done(), q.join()",
        "q.qsize(), q.empty()",
        "q.full()",
    ):
        code = f"q = m.Queue(); q.put(1); q.shutdown({immediate}), q.shutdown({immediate}); {then}"
        assert outcome(code, m=ours) == outcome(code, m=theirs), code


@pytest.mark.parametrize("code", lines(REFUSED))
def test_what_is_refused(ours, theirs, code):
    remote, got = outcome(code, m=theirs), outcome(code, m=ours)
    assert kind_of(remote) == "RemoteError" and f"\n{kind_of(got)}: " in remote, got


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="threading's classes have no texts of their own"
)
@pytest.mark.parametrize(
    "code",
    lines("""
    s = m.Semaphore(2); s.acquire(), str(s)
    s = m.BoundedSemaphore(3); s.acquire(), str(s)
    e = m.Event(); str(e), e.set(), str(e)
    b = m.Barrier(2); str(b), b.abort(), str(b)
"""),
)
def test_texts_as_the_standard_librarys(ours, theirs, code):
    assert outcome(code, m=ours) == outcome(code, m=theirs)
