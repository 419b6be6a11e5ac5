"""A heap in a list, as `heapq` has it: the same comparisons in the same order, the same outcome.

But all comparisons come before the first change. So an exception out of one leaves the list as it
was, where `heapq` leaves behind what was to be put, and loses what was to be got.
"""


def push(heap, item):
    """Puts an object into its place."""
    places = [len(heap)]  # the last one, and those of the larger ones above it
    while places[-1]:
        above = (places[-1] - 1) >> 1
        if not item < heap[above]:
            break
        places.append(above)
    heap.append(item)
    for place, above in zip(places, places[1:], strict=False):
        heap[place] = heap[above]
    heap[places[-1]] = item


def pop(heap):
    """Takes the least object out; `IndexError` if there is none."""
    least, last, size = heap[0], heap[-1], len(heap) - 1
    places, below = [0], 1  # from the top to a leaf, by way of the lesser ones
    while below < size:
        if below + 1 < size and not heap[below] < heap[below + 1]:
            below += 1
        places.append(below)
        below = 2 * below + 1
    # The last one goes to that leaf, and up from there.
    while len(places) > 1 and last < heap[places[-1]]:
        places.pop()
    for place, below in zip(places, places[1:], strict=False):
        heap[place] = heap[below]
    heap[places[-1]] = last
    heap.pop()
    return least
