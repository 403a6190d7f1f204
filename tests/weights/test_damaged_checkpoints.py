"""A hundred damaged or hostile files: each ends in one line that names the file."""

import io
import json
import os
import pickle
import random
import resource
import struct
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from keras_dynamonet.errors import UserError  # noqa: E402
from keras_dynamonet.weights import ARCHITECTURES, import_checkpoint  # noqa: E402
from tests.weights.networks import make_network  # noqa: E402

MEMORY_ALLOWANCE = 512 << 20


@pytest.fixture(scope="module")
def state():
    return make_network("resnet, shortcut B").state_dict()


@pytest.fixture(scope="module")
def files(state):
    """The same weights in every format, as bytes."""
    made = {}
    for legacy in (False, True):
        buffer = io.BytesIO()
        torch.save(state, buffer, _use_new_zipfile_serialization=not legacy)
        made["legacy" if legacy else "zip"] = buffer.getvalue()
    header, data = {}, b""
    for name, tensor in state.items():
        values = tensor.float().numpy().tobytes()
        offsets = [len(data), len(data) + len(values)]
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": offsets,
        }
        data += values
    made["safetensors"] = with_header(header, data)
    made["header"], made["data"] = header, data
    return made


def with_header(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def assert_refused(data, path):
    path.write_bytes(data)
    before = peak_memory()
    with pytest.raises(UserError) as error:
        import_checkpoint(path, num_frames=4, size=32)
    message = str(error.value)
    assert message.startswith(str(path)) and "\n" not in message
    assert len(message) < len(str(path)) + 600
    assert peak_memory() - before < MEMORY_ALLOWANCE


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("format", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [0.0005, 0.01, 0.1, 0.3, 0.5, 0.8, 0.95, 0.999])
def test_cut_files(format, share, files, tmp_path):
    data = files[format]
    assert_refused(data[: int(len(data) * share)], tmp_path / "net.pth")


@pytest.mark.parametrize("seed", range(25))
def test_flipped_bits_of_the_description(seed, files, tmp_path):
    """Half of the bytes of the pickle are hit, so that it cannot stay readable."""
    data = bytearray(files["legacy"])
    end = data.index(b"numpy") if b"numpy" in data[:200] else 4000
    generator = random.Random(seed)
    for _ in range(end // 2):
        data[generator.randrange(2, end)] ^= 1 << generator.randrange(8)
    assert_refused(bytes(data), tmp_path / "net.pth")


@pytest.mark.parametrize("seed", range(15))
def test_flipped_bits_of_the_numbers(seed, files, tmp_path):
    data = bytearray(files["zip"])
    position = random.Random(seed).randrange(len(data) // 4, len(data) // 2)
    data[position] ^= 0x40
    assert_refused(bytes(data), tmp_path / "net.pth")


def zip_entries(files, change):
    """The zip file with its entries changed, its checksums right."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(files["zip"])) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    change(entries)
    with zipfile.ZipFile(buffer, "w") as new:
        for name, data in entries.items():
            new.writestr(name, data)
    return buffer.getvalue()


def _first(entries, ending):
    return next(name for name in entries if name.endswith(ending))


def _drop(ending):
    return lambda entries: entries.pop(_first(entries, ending))


def _set(ending, data):
    return lambda entries: entries.update({_first(entries, ending): data})


def _add(name, data=b"x"):
    return lambda entries: entries.update({name: data})


def _replace(old, new):
    def change(entries):
        name = _first(entries, "data.pkl")
        assert old in entries[name]
        entries[name] = entries[name].replace(old, new)

    return change


ZIP_CHANGES = {
    "no pickle": _drop("data.pkl"),
    "no data": _drop("data/0"),
    "short data": _set("data/0", b"\0" * 8),
    "empty data": _set("data/1", b""),
    "empty pickle": _set("data.pkl", b""),
    "pickle of a number": _set("data.pkl", b"K\x01."),
    "two pickles": _add("other/data.pkl", b"K\x01."),
    "path upwards": _add("archive/../../../tmp/evil"),
    "absolute path": _add("/tmp/evil"),
    "path of windows": _add("archive\\..\\evil"),
    "key upwards": _replace(b"X\x01\x00\x00\x000", b"X\x0c\x00\x00\x00../../passwd"),
    "wrong type": _replace(b"ctorch\nFloatStorage\n", b"ctorch\nQInt8Storage\n"),
    "longer type": _replace(b"ctorch\nFloatStorage\n", b"ctorch\nDoubleStorage\n"),
    "shorter type": _replace(b"ctorch\nFloatStorage\n", b"ctorch\nLongStorage\n"),
    "unknown function": _replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v9"),
    "function of the shell": _replace(
        b"ctorch._utils\n_rebuild_tensor_v2\n", b"cposix\nsystem\n"
    ),
    "huge pickle": _set("data.pkl", b"N0" * (5 << 20) + b"N."),
    "wrong names": _replace(b"conv1.weight", b"convX.weight"),
    "another stage": _replace(b"layer4", b"layer5"),
}


@pytest.mark.parametrize("name", ZIP_CHANGES)
def test_wrong_entries_of_the_archive(name, files, tmp_path):
    assert_refused(zip_entries(files, ZIP_CHANGES[name]), tmp_path / "net.pth")


def test_compressed_archive(files, tmp_path):
    """A bomb would be compressed; PyTorch compresses nothing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(files["zip"])) as old:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                new.writestr(name, old.read(name))
            new.writestr("archive/data/99", bytes(64 << 20))
    assert_refused(buffer.getvalue(), tmp_path / "net.pth")


def _entry(**change):
    def apply(header):
        header["conv1.weight"].update(change)

    return apply


def _all_entries(**change):
    def apply(header):
        for entry in header.values():
            entry.update(change)

    return apply


def _described(config=None, **change):
    """The description of this library, of the same network but for a change."""
    config = config or {**ARCHITECTURES["r3d18"], **_DESCRIPTION, **change}
    return lambda header: header.update(
        __metadata__={"keras_dynamonet": json.dumps(config)}
    )


_DESCRIPTION = {
    "blocks": [1, 1, 1, 1],
    "widths": [8, 16, 24, 32],
    "stem_width": 8,
    "num_frames": 4,
    "size": [32, 32],
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "class_names": None,
    "fps": None,
}

HEADER_CHANGES = {
    "huge shape": _entry(shape=[1 << 40, 3, 7, 7, 7]),
    "negative shape": _entry(shape=[-8, -3, 7, 7, 7]),
    "shape of zeros": _entry(shape=[0], data_offsets=[0, 0]),
    "fractional shape": _entry(shape=[8.0, 3, 7, 7, 7]),
    "shape of text": _entry(shape="many"),
    "shape missing": lambda header: header["conv1.weight"].pop("shape"),
    "too many axes": _entry(shape=[8, 3, 7, 7, 7, 1, 1, 1, 1]),
    "offsets swapped": _entry(data_offsets=[32928, 0]),
    "offsets outside": _entry(data_offsets=[1 << 50, (1 << 50) + 32928]),
    "offsets negative": _entry(data_offsets=[-32928, 0]),
    "offsets of floats": _entry(data_offsets=[0.0, 32928.0]),
    "offsets missing": lambda header: header["conv1.weight"].pop("data_offsets"),
    "unknown type": _entry(dtype="F7"),
    "type of a list": _entry(dtype=["F32"]),
    "all in one place": _all_entries(shape=[8], data_offsets=[0, 32]),
    "tensor of null": lambda header: header.update({"conv1.weight": None}),
    "metadata of a list": lambda header: header.update(__metadata__=[1]),
    "own description broken": lambda header: header.update(
        __metadata__={"keras_dynamonet": "{]"}
    ),
    "own description of little": _described({"blocks": [1, 1, 1, 1]}),
    "own description a bomb of blocks": _described(blocks=[10**9, -(10**9), 1, 1]),
    "own description a bomb of classes": _described(class_names=5),
    "own description a bomb of frames": _described(num_frames=10**12),
    "own description of wrong types": _described(convolution=[[], {}, 1, None]),
    "own description of no stem": _described(stem="9x9x9"),
    "own description of no depth": _described(depth="deep"),
    "own description of no widths": _described(widths=[0, 0, 0, 0]),
    "own description of other widths": _described(widths=[8, 16, 24, 10**12]),
    "own description of no pixels": _described(std=[0, 0, "x"]),
    "no head of the network": lambda header: header.pop("bn1.weight"),
    "stranger": lambda header: header.update(extra=dict(header["fc.bias"])),
    "many blocks": lambda header: header.update(
        {f"layer1.{n}.conv1.weight": header["fc.bias"] for n in range(1, 99)}
    ),
    "huge head": _entry(),
}


@pytest.mark.parametrize("name", HEADER_CHANGES)
def test_wrong_headers_of_safetensors(name, files, tmp_path):
    header = json.loads(json.dumps(files["header"]))
    HEADER_CHANGES[name](header)
    if name == "huge head":
        header["fc.weight"]["shape"] = [header["fc.weight"]["shape"][0] * 32, 1]
    data = with_header(header, files["data"])
    assert_refused(data, tmp_path / "net.safetensors")


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 0) + b"{}",
        struct.pack("<Q", 9 << 20) + b"{}",
        with_header(b"{" * 10_000, b""),
        with_header(b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b""),
        with_header(b'{"a": {"dtype": "F32"', b""),
        with_header(b"{\xff\xfe}", b""),
        with_header(b"{}", b""),
    ],
)
def test_broken_headers_of_safetensors(data, tmp_path):
    assert_refused(data, tmp_path / "net.safetensors")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite(value, state, tmp_path):
    broken = dict(state)
    broken["conv1.weight"] = broken["conv1.weight"].clone()
    broken["conv1.weight"][0, 0, 0, 0, 0] = value
    buffer = io.BytesIO()
    torch.save(broken, buffer)
    assert_refused(buffer.getvalue(), tmp_path / "net.pth")


def test_a_head_without_a_shape(state, tmp_path):
    path = tmp_path / "net.pth"
    torch.save({**state, "fc.weight": torch.tensor(1.0)}, path)
    with pytest.raises(UserError, match="does not fit ResNet-18"):
        import_checkpoint(path, arch="resnet-18", num_frames=4, size=32)


def test_negative_variance(state, tmp_path):
    buffer = io.BytesIO()
    torch.save({**state, "bn1.running_var": -state["bn1.running_var"]}, buffer)
    assert_refused(buffer.getvalue(), tmp_path / "net.pth")


def test_expanded_tensor_is_no_size_bomb(state, tmp_path):
    buffer = io.BytesIO()
    torch.save({**state, "fc.bias": torch.zeros(1).expand(1 << 40)}, buffer)
    assert_refused(buffer.getvalue(), tmp_path / "net.pth")


class Hostile:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("place", ["beside the weights", "instead of them"])
def test_hostile_checkpoints_run_no_code(legacy, place, state, tmp_path):
    trace = tmp_path / "trace"
    content = Hostile(trace)
    if place == "beside the weights":
        content = {"state_dict": state, "extra": content}
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    assert_refused(buffer.getvalue(), tmp_path / "net.pth")
    assert not trace.exists()
    pickle.loads(pickle.dumps(Hostile(trace)))  # it would have worked elsewhere
    assert trace.exists()


def test_undamaged_files_are_read(files, tmp_path):
    """What the changes above start from is fine without them."""
    header = json.loads(json.dumps(files["header"]))
    _described()(header)
    described = with_header(header, files["data"])
    plain = [files[format] for format in ("zip", "legacy", "safetensors")]
    for data in (described, zip_entries(files, lambda _: None), *plain):
        (tmp_path / "net.pth").write_bytes(data)
        assert import_checkpoint(tmp_path / "net.pth").model.num_classes == 10
