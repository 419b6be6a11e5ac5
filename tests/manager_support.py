"""What the tests of managers share."""

import ast
import gc
import re

import backends
from support import until


def outcome(code, **names):
    """What a piece of code comes to: its last expression's value, or the exception, as text.

    Addresses are the same in all.
    """
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else ast.parse("None").body[0]
    try:
        exec(compile(tree, code, "exec"), names)
        result = repr(eval(compile(ast.Expression(last.value), code, "eval"), names))
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    return re.sub("0x[0-9a-f]+", "0x", result)


def kind_of(result):
    """The type of an exception that `outcome` tells of."""
    return result.partition(":")[0]


def lines(text):
    """The pieces of code of a table, one a line."""
    return [line.strip() for line in text.strip().splitlines()]


def sound(*proxies):
    """Looks whether dicts and lists are whole, and agree with themselves."""
    for proxy in proxies:
        assert proxy._check() == []
        if hasattr(proxy, "keys"):
            keys = proxy.keys()
            assert list(proxy) == keys == list(proxy.copy()) and len(proxy) == len(keys)
            assert proxy.items() == [(key, proxy[key]) for key in keys]
            assert proxy.values() == [proxy.get(key) for key in keys]
            assert all(key in proxy for key in keys)
        else:
            values = proxy[:]
            assert list(proxy) == values == proxy.copy() and len(proxy) == len(values)
            assert values == [proxy[index] for index in range(len(values))]
            assert values == [proxy[index - len(values)] for index in range(len(values))]


def used():
    """The bytes that something takes up."""
    return backends.current.used()


def given_back(before, slack=0):
    """Waits until no more is used than that."""

    def enough():
        gc.collect()
        return used() <= before + slack

    until(enough, f"{used()} bytes are used, {before} before: the rest's return")
