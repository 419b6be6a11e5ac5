"""Which functions and classes go by value, and how.

By reference (module and name, as pickle does it) whenever every receiver finds the same object
there:

- Anything that is found under its name in a module other than `__main__`. Never by value.
- An object of `__main__`, if
  - a spawned child imports that `__main__` again (it has a file or a module name, and is no
    interactive session) and meets the object there: it is bound outside `if __name__ ==
    "__main__"`;
  - and no child was forked before the object was there.

By value otherwise, by cloudpickle (and so all of `__main__` in a message on a server):

- What is not found under its name: lambdas, closures, local classes. Simply by value.
- The other objects of `__main__`: notebooks, `python -c`, what stands under the guard, what was
  defined after a fork. These travel with a token beside the value. A receiver that has the object
  which the token names uses that: so a class keeps its identity in the children forked after it was
  defined, and when it comes back. Tokens are given out at fork and at first sending, and a token
  names one object only, so a redefined function is never mistaken for its predecessor.

A class that travels this way is pickled once: later changes to it do not travel, as they would not
by reference. A function is pickled anew for each message, with the globals that it uses.
"""

import io
import os
import pickle
import sys
import weakref
from types import FunctionType

_MAIN = "__main__"
_CHILDS_MAIN = "__mp_main__"  # its name in a child that has imported it again
_HEAP_TYPE = 1 << 9

_tokens: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # object of __main__ → its token
_objects: weakref.WeakValueDictionary = weakref.WeakValueDictionary()  # the reverse
_class_values: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # class → its pickled value
_settled: dict = {}  # id → weak reference to an object of __main__ that goes by reference for good
_early = None  # the tokens of what __main__ had when this process, or an ancestor, first forked


def reduce(pickler, obj):
    """What `pickler` shall do with a function or class: for its `reducer_override`."""
    module = getattr(obj, "__module__", None)
    name = getattr(obj, "__qualname__", None)
    if module != _MAIN:
        if module == _CHILDS_MAIN and module in sys.modules and _goes_far():
            return _take_apart(pickler, obj, sys.modules[module])
        if _pickle_finds(obj, module, name):
            return NotImplemented
        return _take_apart(pickler, obj)
    if _goes_far():
        return _take_apart(pickler, obj)  # on another machine `__main__` is another program
    found = _pickle_finds(obj, module, name)
    known = _settled.get(id(obj))
    if found and known is not None and known() is obj:
        return NotImplemented
    token = _token(obj)
    if found:
        if _everybody_has(name):
            _settle(obj)
            return NotImplemented
        token = token or _give_token(obj)
        if token is None:
            return NotImplemented
    if token is None or pickler._inline:
        return _take_apart(pickler, obj)
    return _from_main, (token, _value(obj))


def _goes_far():
    """Whether it is for a message on a server."""
    from ._core import RemoteServer

    return RemoteServer.current() is not None


def _pickle_finds(obj, module, name):
    """Whether pickle's look-up by name finds this very object."""
    if module is None or name is None or obj in (type(None), type(NotImplemented), type(...)):
        return True  # pickle has its own ways with these
    try:
        if module not in sys.modules:
            __import__(module)
        found = sys.modules[module]
        if getattr(found, name, None) is obj:
            return True
        for part in name.split("."):
            found = getattr(found, part)  # "<locals>" and "<lambda>" are no attributes
    except (ImportError, KeyError, AttributeError):
        return False
    return found is obj


def _take_apart(pickler, obj, whole=None):
    """`whole`: its module, which cloudpickle takes for one that everybody has."""
    if pickler._taking_apart is None:
        if isinstance(obj, type) and not obj.__flags__ & _HEAP_TYPE:
            return NotImplemented  # not made by Python code: there is nothing to take apart
        try:
            import cloudpickle  # type: ignore[import-untyped]
        except ImportError:
            raise pickle.PicklingError(
                f"{obj!r} cannot be found by name, and to send it by value needs the package"
                " cloudpickle"
            ) from None
        pickler._taking_apart = cloudpickle.Pickler(io.BytesIO(), 5)
    if whole is not None:
        import cloudpickle

        cloudpickle.register_pickle_by_value(whole)
    return pickler._taking_apart.reducer_override(obj)


def _value(obj):
    """The object alone, by value."""
    if not isinstance(obj, type):
        return _pickle(obj)
    value = _class_values.get(obj)
    if value is None:
        value = _class_values[obj] = _pickle(obj)
    return value


def _pickle(obj):
    from .reduction import Pickler

    file = io.BytesIO()
    pickler = Pickler(file, 5)
    pickler._inline = True
    pickler.dump(obj)
    return file.getvalue()


def _from_main(token, value):
    """In the receiver: the object that the token names, or else one made of the value."""
    obj = _objects.get(token)
    if obj is None:
        obj = pickle.loads(value)
        _objects[token] = obj
        _tokens[obj] = token
    return obj


def _token(obj):
    """The token that names this object, if it has one."""
    try:
        return _tokens.get(obj)
    except TypeError:
        return None


def _give_token(obj):
    """A new token for this object; None if it cannot have one."""
    try:
        token = _tokens[obj] = os.urandom(12)
    except TypeError:  # an unhashable class: its metaclass defines __eq__ alone
        return None
    _objects[token] = obj
    return token


def _everybody_has(name):
    """Whether fork children and spawned ones alike find this object of __main__ by its name."""
    outer = name.partition(".")[0]
    if _early is not None and _token(getattr(sys.modules[_MAIN], outer)) not in _early:
        return False
    return _spawned_meet(outer)


def _settle(obj):
    """Remembers that `obj` goes by reference. Later children will have it, too."""
    number = id(obj)
    _settled[number] = weakref.ref(obj, lambda _: _settled.pop(number, None))


def _before_fork():
    """Gives tokens to what the child is about to inherit."""
    global _early
    main = sys.modules.get(_MAIN)
    for obj in list(vars(main).values()) if main is not None else ():
        kind = type(obj)
        if (kind is FunctionType or issubclass(kind, type)) and obj.__module__ == _MAIN:
            _token(obj) or _give_token(obj)
    if _early is None:
        _early = frozenset(_objects)


os.register_at_fork(before=_before_fork)


_guarded: dict = {}  # path of a __main__ → names bound under its guard alone


def _spawned_meet(name):
    """Whether a spawned child that imports __main__ again has something under this name."""
    if hasattr(sys, "ps1"):
        return False
    main = sys.modules[_MAIN]
    spec_name = getattr(getattr(main, "__spec__", None), "name", None)
    path = getattr(main, "__file__", None)
    if spec_name is not None and (spec_name == _MAIN or spec_name.endswith("." + _MAIN)):
        return False  # the main file of a package or folder is not imported again
    if path is None:
        return False
    guarded = _guarded.get(path)
    if guarded is None:
        guarded = _guarded[path] = _names_under_guard(path)
    return guarded is not None and name not in guarded


def _names_under_guard(path):
    """The names that a file binds nowhere but under its guard; None if there is no such file."""
    import ast

    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except OSError:
        return None
    except (SyntaxError, ValueError):
        return frozenset()  # no source: a zip application, a compiled file
    under, outside = set(), set()

    def visit(nodes, names):
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.If) and _is_guard(node.test):
                visit(node.body, under)
                visit(node.orelse, names)
            elif not isinstance(node, ast.Lambda):
                visit(ast.iter_child_nodes(node), names)

    visit(tree.body, outside)
    return frozenset(under - outside)


def _is_guard(test):
    """`__name__ == "__main__"`, either way round."""
    import ast

    if not isinstance(test, ast.Compare) or [type(op) for op in test.ops] != [ast.Eq]:
        return False
    sides = (test.left, *test.comparators)
    return {getattr(s, "id", getattr(s, "value", None)) for s in sides} == {"__name__", _MAIN}
