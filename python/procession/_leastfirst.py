"""`heapq`'s push and pop, after which an exception out of a comparison has changed nothing.

`heapq` itself leaves behind what was to be put, and loses what was to be got. It moves objects by
swapping neighbours on one way between the top and a leaf: so what it did is undone by going back.
"""

import heapq


def push(heap, item):
    """Puts an object into its place."""
    size = len(heap)
    try:
        heapq.heappush(heap, item)
    except BaseException:
        if len(heap) > size:
            _fall(heap, item, size)
            heap.pop()
        raise


def pop(heap):
    """Takes the least object out; `IndexError` if there is none."""
    size, least, last = len(heap), heap[0], heap[-1]
    try:
        return heapq.heappop(heap)
    except BaseException:
        if len(heap) < size:
            if heap:
                _rise(heap, last)
                heap[0] = least
            heap.append(last)
        raise


def _fall(heap, item, leaf):
    """Moves an object that is above a leaf down to it."""
    way = [leaf]
    while heap[way[-1]] is not item and way[-1]:
        way.append((way[-1] - 1) >> 1)
    for _ in way[1:]:
        above = way.pop()
        heap[above] = heap[way[-1]]
    heap[leaf] = item


def _rise(heap, item):
    """Moves those above an object down, so that the top is free."""
    place = next(i for i, each in enumerate(heap) if each is item)
    while place:
        above = (place - 1) >> 1
        heap[place] = heap[above]
        place = above
