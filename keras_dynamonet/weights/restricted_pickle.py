"""Reads pickles without running any of their code.

Python's own unpickler imports and calls what a file names: whoever opens a stranger's
checkpoint runs a stranger's program. This one is a small machine over the instructions
that `pickletools` parses. It knows numbers, texts and plain containers; each name that
a file asks for must be in a table, and what it calls is a function from that table.
"""

import pickletools
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from keras_dynamonet.weights.stored_tensor import CheckpointError

# A ResNet-200 with its optimizer takes 100,000.
MAX_INSTRUCTIONS = 1_000_000

_SIMPLE_KEYS = (str, int, float, bytes, type(None))
_CONSTANTS = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "EMPTY_TUPLE": (),
}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
    *("FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_NEW = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_IGNORED = {"PROTO", "FRAME"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUT = {"PUT", "BINPUT", "LONG_BINPUT"}
_GET = {"GET", "BINGET", "LONG_BINGET"}


class Inert:
    """Stands for an object that no weights need. It knows and does nothing."""


Table = Mapping[tuple[str, str], Any]


def read_pickle(
    stream: BytesIO,
    table: Table,
    persistent_load: Callable[[Any], Any] | None = None,
) -> Any:
    """Reads one pickle and leaves the stream behind it.

    Args:
        stream: The bytes, from the first instruction on.
        table: What stands for each name `(module, name)` that a file may ask for. A
            function is called with the arguments that the file gives.
        persistent_load: Turns a reference to data outside the pickle into an object.

    Returns:
        Numbers, texts, lists, tuples, dictionaries, sets, and what the table made.

    Raises:
        CheckpointError: If the file asks for a name that is not in the table, uses
            another instruction, is damaged, or holds too many objects.

    Example:

    >>> import pickle
    >>> read_pickle(BytesIO(pickle.dumps({"epoch": 3}, protocol=2)), {})
    {'epoch': 3}
    """
    machine = _Machine(table, persistent_load)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count > MAX_INSTRUCTIONS:
                raise CheckpointError("holds more objects than weights could need")
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.run(opcode.name, argument)
    except CheckpointError:
        raise
    except (
        AttributeError,
        IndexError,
        KeyError,
        MemoryError,
        OverflowError,
        TypeError,
        ValueError,
    ) as error:
        raise CheckpointError("is damaged: its list of tensors is broken") from error
    raise CheckpointError("is damaged: its list of tensors is cut short")


class _Machine:
    """The stack, the memory and the meaning of each instruction."""

    def __init__(self, table, persistent_load):
        self.table = table
        self.persistent_load = persistent_load
        self.stack = []
        self.marks = []
        self.memory = {}

    def run(self, name, argument):
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _NEW:
            self.stack.append(_NEW[name]())
        elif name in _TUPLES:
            size = _TUPLES[name]
            items = tuple(self.stack[-size:])
            del self.stack[-size:]
            self.stack.append(items)
        elif name in _PUT:
            self.memory[argument] = self.stack[-1]
        elif name in _GET:
            self.stack.append(self.memory[argument])
        elif name not in _IGNORED:
            method = getattr(self, f"_{name.lower()}", None)
            if method is None:
                raise CheckpointError(
                    f"asks for the instruction {name}, which no weights need: refused"
                )
            method(argument)

    def _memoize(self, _):
        self.memory[len(self.memory)] = self.stack[-1]

    def _mark(self, _):
        self.marks.append(len(self.stack))

    def _pop(self, _):
        self.stack.pop()

    def _pop_mark(self, _):
        self._since_mark()

    def _dup(self, _):
        self.stack.append(self.stack[-1])

    def _tuple(self, _):
        self.stack.append(tuple(self._since_mark()))

    def _list(self, _):
        self.stack.append(self._since_mark())

    def _dict(self, _):
        items = self._since_mark()
        self.stack.append({})
        self._set_items(items)

    def _frozenset(self, _):
        items = self._since_mark()
        self.stack.append(frozenset(_key(item) for item in items))

    def _append(self, _):
        self._extend([self.stack.pop()])

    def _appends(self, _):
        self._extend(self._since_mark())

    def _additems(self, _):
        items = self._since_mark()
        self.stack[-1].update(_key(item) for item in items)

    def _setitem(self, _):
        value = self.stack.pop()
        self._set_items([self.stack.pop(), value])

    def _setitems(self, _):
        self._set_items(self._since_mark())

    def _build(self, _):
        # Attributes of an object, such as the versions that PyTorch hangs on a
        # dictionary of weights. Nothing here has attributes that matter.
        self.stack.pop()

    def _global(self, argument):
        module, _, name = argument.partition(" ")
        self._find(module, name)

    def _stack_global(self, _):
        name = self.stack.pop()
        self._find(self.stack.pop(), name)

    def _reduce(self, _):
        arguments = self.stack.pop()
        function = self.stack.pop()
        if isinstance(function, Inert):
            self.stack.append(function)
        elif isinstance(arguments, tuple):
            # Only the table can have put something on the stack that can be called.
            self.stack.append(function(*arguments))
        else:
            raise CheckpointError("is damaged: it calls something without arguments")

    def _newobj(self, _):
        self._reduce(None)

    def _binpersid(self, _):
        if self.persistent_load is None:
            raise CheckpointError("is damaged: it refers to data that is not there")
        self.stack.append(self.persistent_load(self.stack.pop()))

    def _find(self, module, name):
        if not isinstance(module, str) or not isinstance(name, str):
            raise CheckpointError("is damaged: it asks for a name that is no text")
        if (module, name) not in self.table:
            raise CheckpointError(
                f"asks for `{module[:60]}.{name[:60]}`, which no weights need: "
                "refused. In PyTorch, save `model.state_dict()` and nothing else"
            )
        self.stack.append(self.table[module, name])

    def _since_mark(self):
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def _extend(self, items):
        if not isinstance(self.stack[-1], Inert):
            self.stack[-1].extend(items)

    def _set_items(self, items):
        target = self.stack[-1]
        if not isinstance(target, Inert):
            for key, value in zip(items[::2], items[1::2], strict=True):
                target[_key(key)] = value


def _key(value):
    # The hash of tuples in tuples in tuples overflows the stack of the interpreter.
    if not isinstance(value, _SIMPLE_KEYS):
        raise CheckpointError("is damaged: a dictionary has an impossible key")
    return value
