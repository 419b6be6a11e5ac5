"""What cannot hold over a network: tests of `both_backends` that fail over a server, and why.

Each has to fail there, and has its line in the section "Over a network" of docs/differences.md. A test
stands here with its parameters, as pytest writes them, if it is not for all of them.
"""

PYTHONS_ORDER = "nobody on the server can compare what only Python compares"
REFUSAL = "the server refuses by the bytes of the order, and not in Python's words"
LEASE = "who died is found when his lease is over, and his messages by whoever takes or waits"
ABSENT = "how a process ended is known to its parent only, and not on other machines"
DESCRIPTORS = "there is no descriptor for one queue: it is on another machine"
SERVER = "a class alone does not know which server"
ROUND_TRIP = "each call is a round trip, which a thread waits for"
KEPT = "what more than one process had lives on until its time is over: who has it is not known"
MANAGER = "a manager on a server has a class of its own"
ELSEWHERE = "workers are processes of others, on any machine"
WORKERS = "a pool has as many workers as there are; `processes` bounds the tasks under way"
UNASKED = (
    "no worker asks between two items of a chunk whether they are still wanted: a round trip each"
)
BY_VALUE = "values travel by value, too, if cloudpickle is there"
LINE = "who stands first in a queue's line is served first, though its loop stands still"

DIFFERENCES = {
    "test_queues.py::test_the_ends_of_a_simple_queue_are_closed": DESCRIPTORS,
    "test_queues.py::test_a_context_need_not_be_given": SERVER,
    "test_queue_order.py::test_by_what_python_compares": PYTHONS_ORDER,
    "test_queue_order.py::test_what_cannot_be_compared_is_refused_in_pythons_words": REFUSAL,
    "test_queue_order.py::test_what_only_python_compares_is_refused_by_it": PYTHONS_ORDER,
    "test_queue_order.py::test_a_refusal_has_the_text_of_the_comparison": REFUSAL,
    "test_queue_order.py::test_so_has_one_of_what_only_python_compares": PYTHONS_ORDER,
    "test_queue_order.py::test_none_alone_is_less_than_nothing": PYTHONS_ORDER,
    "test_queue_order.py::test_the_prioritized_items_of_the_documentation": PYTHONS_ORDER,
    "test_queue_order.py::test_subclasses_go_by_their_own_order": PYTHONS_ORDER,
    "test_queue_order.py::test_what_is_not_a_number_loses_nothing": PYTHONS_ORDER,
    "test_queue_order.py::test_what_is_too_long_for_a_key": PYTHONS_ORDER,
    "test_queue_order.py::test_what_has_none_is_compared_with_what_has_one": PYTHONS_ORDER,
    "test_queue_order.py::test_a_comparison_may_use_the_queue": PYTHONS_ORDER,
    "test_queue_order.py::test_a_comparison_that_changes_the_queue_for_ever_is_told": PYTHONS_ORDER,
    "test_queue_order.py::test_a_comparison_that_raises_changes_nothing": PYTHONS_ORDER,
    "test_redeliver_deaths.py::test_what_the_dead_had_comes_back_in_order": LEASE,
    "test_abandoned.py::test_a_warning_that_is_an_error_leaves_the_lock_abandoned": ABSENT,
    "test_abandoned.py::test_the_name_of_the_dead_outlasts_its_place": ABSENT,
    "test_abandoned.py::test_a_sibling_is_told_how_the_holder_died": ABSENT,
    "test_asyncio.py::test_what_is_there_takes_no_step_of_the_loops": ROUND_TRIP,
    "test_asyncio_loops.py::test_no_thread_and_nothing_left": ROUND_TRIP,
    "test_asyncio_loops.py::test_loops_in_turn_in_one_thread": LINE,
    "test_executor_end.py::test_many_maps_are_cancelled_at_once": UNASKED,
    "test_manager_objects.py::test_as_the_standard_librarys[redis-the manager]": MANAGER,
    "test_manager_model.py::test_nothing_is_left": KEPT,
    "test_pool.py::test_a_lambda_is_no_result": BY_VALUE,
    "test_pool.py::test_workers_are_replaced_after_so_many_tasks": WORKERS,
    "test_pool.py::test_pool_is_told_apart_by_its_names": ELSEWHERE,
    "test_progress.py::test_stats": ELSEWHERE,
    "test_travel.py::test_bytes_of_another_pickler_are_weak": KEPT,
    "test_queue_order_processes.py::test_every_message_once[redis-2-2-0-odd-PriorityQueue]": PYTHONS_ORDER,
    "test_queue_order_processes.py::test_every_message_once[redis-4-1-5-odd-PriorityQueue]": PYTHONS_ORDER,
    "test_queue_order_processes.py::test_every_message_once[redis-1-4-1-odd-PriorityQueue]": PYTHONS_ORDER,
    "test_queue_order_processes.py::test_what_many_have_put_comes_out_in_order[redis-odd-PriorityQueue]": PYTHONS_ORDER,
    "test_queue_order_processes.py::test_plain_data_only[redis-PriorityQueue]": PYTHONS_ORDER,
    "test_queue_order_processes.py::test_killed_under_load[redis-odd-PriorityQueue]": PYTHONS_ORDER,
}
