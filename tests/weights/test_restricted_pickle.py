import collections
import os
import pickle
import struct
from io import BytesIO

import pytest

from keras_dynamonet.weights import restricted_pickle
from keras_dynamonet.weights.restricted_pickle import Inert, read_pickle
from keras_dynamonet.weights.stored_tensor import CheckpointError

PLAIN = {
    "epoch": 200,
    "loss": -0.5,
    "big": 2**70,
    "names": ["a", "b", "ä"],
    "nested": {"tuple": (1, (2, 3), ()), "flags": [True, False, None]},
    "bytes": b"abc",
    3: "integer key",
}


def read(data, table=None, **kwargs):
    return read_pickle(BytesIO(data), table or {}, **kwargs)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_plain_containers_come_back(protocol):
    assert read(pickle.dumps(PLAIN, protocol)) == PLAIN


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_old_protocols_come_back(protocol):
    plain = {key: value for key, value in PLAIN.items() if key != "bytes"}
    assert read(pickle.dumps(plain, protocol)) == plain


def test_shared_objects_stay_shared():
    shared = [1]
    first, second = read(pickle.dumps([shared, shared], 2))
    assert first is second


def test_stops_behind_the_pickle():
    stream = BytesIO(pickle.dumps(1, 2) + pickle.dumps(2, 2) + b"data")
    assert read_pickle(stream, {}) == 1
    assert read_pickle(stream, {}) == 2
    assert stream.read() == b"data"


def test_table_makes_objects():
    table = {("collections", "OrderedDict"): lambda *_: {}}
    data = pickle.dumps(collections.OrderedDict(a=1), 2)
    assert read(data, table) == {"a": 1}


def test_inert_objects_swallow_what_they_are_given():
    table = {
        ("collections", "Counter"): Inert(),
        ("collections", "defaultdict"): Inert(),
        ("builtins", "list"): Inert(),
        ("__builtin__", "list"): Inert(),
    }
    thing = {"counter": collections.Counter("aab"), "epoch": 1}
    thing["default"] = collections.defaultdict(list, a=[1])
    found = read(pickle.dumps(thing, 2), table)
    assert found["epoch"] == 1
    assert isinstance(found["counter"], Inert)
    assert isinstance(found["default"], Inert)


class Hostile:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, exec, open, getattr])
def test_no_code_runs(function, protocol, tmp_path):
    trace = tmp_path / "trace"
    arguments = {
        os.system: (f"touch {trace}",),
        eval: (f"open({str(trace)!r}, 'w')",),
        exec: (f"open({str(trace)!r}, 'w')",),
        open: (str(trace), "w"),
        getattr: (str, "upper"),
    }[function]
    data = pickle.dumps({"state_dict": Hostile(function, *arguments)}, protocol)
    with pytest.raises(CheckpointError, match="which no weights need: refused"):
        read(data)
    assert not trace.exists()


def test_table_gives_no_way_to_attributes():
    # `__builtin__ getattr` by a dotted name, as protocol 4 allows.
    data = b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93."
    table = {("collections", "OrderedDict"): dict}
    with pytest.raises(CheckpointError, match="OrderedDict.__init__"):
        read(data, table)


def test_reading_never_imports(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("imported")

    monkeypatch.setattr("builtins.__import__", refuse)
    with pytest.raises(CheckpointError):
        read(b"cantigravity\nfly\n.")


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "cut short|broken"),
        (pickle.dumps(PLAIN, 3)[:-1], "cut short|broken"),
        (pickle.dumps(PLAIN, 3)[:40], "broken"),
        (b"\xff\xfe", "broken"),
        (b"\x80\x02a.", "broken"),
        (b"\x80\x02].\x00"[:3] + b"e.", "broken"),
        (b"\x80\x02K\x01K\x01R.", "without arguments|broken"),
        (b"\x80\x02K\x01)R.", "broken"),
        (b"\x80\x02h\x05.", "broken"),
        (b"\x80\x02}(]K\x01u.", "impossible key"),
        (b"\x80\x02}()K\x01u.", "impossible key"),
        (b"\x80\x02(iposix\nsystem\n.", "instruction INST"),
        (b"\x80\x02K\x01Q.", "data that is not there"),
        (b"\x80\x02K\x01K\x02\x93.", "no text"),
        (b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".", "broken|BYTEARRAY8"),
        (b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"a.", "broken"),
        (b"X" + struct.pack("<I", 0xFFFFFFFF) + b"a.", "broken"),
        (b"\x8b" + struct.pack("<i", 0x7FFFFFFF) + b"a.", "broken"),
        (b"I" + b"9" * 5000 + b"\n.", "broken"),
    ],
)
def test_broken_pickles_are_refused(data, message):
    with pytest.raises(CheckpointError, match=message):
        read(data)


def test_huge_memory_index_takes_no_memory():
    # Python's own unpickler would make room for two billion objects.
    assert read(b"\x80\x02K\x07r" + struct.pack("<I", 0x7FFFFFFF) + b".") == 7


def test_deep_nesting_does_not_overflow():
    assert read(b"\x80\x02" + b"]" * 60_000 + b"a" * 59_999 + b".") is not None
    deep = b"\x80\x02" + b")" + b"\x85" * 60_000
    with pytest.raises(CheckpointError, match="impossible key"):
        read(b"\x80\x02}" + deep[2:] + b"K\x01s.")


def test_too_many_instructions_are_refused(monkeypatch):
    monkeypatch.setattr(restricted_pickle, "MAX_INSTRUCTIONS", 100)
    with pytest.raises(CheckpointError, match="more objects than weights could need"):
        read(b"\x80\x02" + b"N0" * 100 + b"N.")


def test_persistent_references_are_resolved():
    data = b"\x80\x02X\x01\x00\x00\x00kQ."
    assert read(data, persistent_load=lambda key: key * 3) == "kkk"
