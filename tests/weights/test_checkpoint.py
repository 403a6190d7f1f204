import collections
import io
import tarfile
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from keras_dynamonet.errors import UserError  # noqa: E402
from keras_dynamonet.weights import read_checkpoint  # noqa: E402
from keras_dynamonet.weights.safetensors_file import write_safetensors  # noqa: E402


def tensors():
    torch.manual_seed(0)
    return {
        "a.weight": torch.randn(4, 3, 1, 2, 3),
        "a.bias": torch.randn(4),
        "b.weight": torch.randn(5, 4),
        "b.num_batches_tracked": torch.tensor(7),
    }


def save(content, path, legacy=False):
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def assert_same(checkpoint, expected):
    assert set(checkpoint.tensors) == set(expected)
    for name, tensor in expected.items():
        stored = checkpoint.tensors[name]
        assert stored.shape == tuple(tensor.shape)
        array = stored.read()
        np.testing.assert_array_equal(array, tensor.detach().float().numpy())


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("protocol", [2, 4])
def test_both_formats_of_pytorch(legacy, protocol, tmp_path):
    path = tmp_path / "net.pth"
    torch.save(
        tensors(),
        path,
        _use_new_zipfile_serialization=not legacy,
        pickle_protocol=protocol,
    )
    checkpoint = read_checkpoint(path)
    assert checkpoint.format == ("legacy" if legacy else "zip")
    assert_same(checkpoint, tensors())


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
        torch.bool,
    ],
)
def test_number_types(dtype, legacy, tmp_path):
    values = {"x": torch.tensor([0.0, 1.5, -2.25, 100.0, 0.1]).to(dtype)}
    assert_same(read_checkpoint(save(values, tmp_path / "net.pth", legacy)), values)


@pytest.mark.parametrize("legacy", [False, True])
def test_views_and_shared_storages(legacy, tmp_path):
    whole = torch.arange(24.0).reshape(2, 3, 4)
    values = {
        "part": whole[1, 1:],
        "transposed": whole.permute(2, 0, 1),
        "last": torch.randn(2, 3, 2, 2, 2).to(memory_format=torch.channels_last_3d),
        "scalar": torch.tensor(3.0),
    }
    assert_same(read_checkpoint(save(values, tmp_path / "net.pth", legacy)), values)


def test_parameters_and_modules_attributes(tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 1), torch.nn.BatchNorm3d(2))
    values = {name: torch.nn.Parameter(p) for name, p in network.named_parameters()}
    assert_same(read_checkpoint(save(values, tmp_path / "parameters.pth")), values)
    state = network.state_dict()  # with versions as an attribute of the dictionary
    assert_same(read_checkpoint(save(state, tmp_path / "state.pth")), state)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "module.model."])
def test_wrapped_and_prefixed_weights(key, prefix, tmp_path):
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [50, 100])
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    content = {
        "epoch": 200,
        "arch": "resnext-101",
        key: collections.OrderedDict((prefix + k, v) for k, v in tensors().items()),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "plateau": plateau.state_dict(),
        "best": np.float64(0.7),
        "scores": np.arange(3),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
    }
    checkpoint = read_checkpoint(save(content, tmp_path / "net.pth"))
    assert_same(checkpoint, tensors())
    assert (checkpoint.wrapper, checkpoint.prefix) == (key, prefix)
    assert checkpoint.facts["arch"] == "resnext-101"
    assert {"optimizer", "scheduler", "best"} <= set(checkpoint.beside)


def test_safetensors_of_the_package(tmp_path):
    package = pytest.importorskip("safetensors.torch")
    values = tensors()
    values["half"] = torch.randn(3).half()
    values["bfloat"] = torch.randn(3).bfloat16()
    path = tmp_path / "net.safetensors"
    package.save_file(values, path, metadata={"format": "pt"})
    checkpoint = read_checkpoint(path)
    assert_same(checkpoint, values)
    assert checkpoint.facts == {"format": "pt"}


def test_written_safetensors_open_in_the_package(tmp_path):
    package = pytest.importorskip("safetensors")
    arrays = {"ä": np.arange(6.0).reshape(2, 3), "b": np.float32(3.5).reshape(())}
    shapes = {name: array.shape for name, array in arrays.items()}
    path = tmp_path / "net.safetensors"
    write_safetensors(path, arrays.items(), shapes, {"made": "here"})
    with package.safe_open(path, framework="numpy") as file:
        assert file.metadata() == {"made": "here"}
        for name, array in arrays.items():
            np.testing.assert_array_equal(file.get_tensor(name), array)


def test_big_endian_numbers(tmp_path):
    path = save({"x": torch.tensor([1.0, 2.0])}, tmp_path / "net.pth")
    swapped = tmp_path / "swapped.pth"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(swapped, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("byteorder"):
                data = b"big"
            if "/data/" in name:
                data = np.frombuffer(data, "<f4").astype(">f4").tobytes()
            new.writestr(name, data)
    assert read_checkpoint(swapped).tensors["x"].read().tolist() == [1.0, 2.0]


def test_a_changed_bit_of_the_numbers_is_found(tmp_path):
    path = save(tensors(), tmp_path / "net.pth")
    data = bytearray(path.read_bytes())
    values = tensors()["a.weight"].numpy().tobytes()
    data[data.index(values)] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="does not match its checksum"):
        read_checkpoint(path).tensors["a.weight"].read()


def test_a_file_cut_after_opening_is_found(tmp_path):
    path = save(tensors(), tmp_path / "net.pth", legacy=True)
    checkpoint = read_checkpoint(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="is cut short"):
        for tensor in checkpoint.tensors.values():
            tensor.read()


def tar_file():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    return buffer.getvalue()


def zip_file(**entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "is empty"),
        (b"hello world", "no checkpoint of PyTorch"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"\n <html>", "is a web page"),
        (tar_file(), "PyTorch before 0.1.10"),
        (zip_file(config=b"{}"), "no PyTorch checkpoint"),
        (zip_file(a__data="", a__constants="")[:40], "damaged or cut zip"),
        (zip_file(**{"a__data.pkl": b"N.", "a__constants.pkl": b""}), "TorchScript"),
        (zip_file(**{"a__data.pkl": b"N."}), "holds no named weights"),
        (
            zip_file(**{"a__data.pkl": b"}X\x01\x00\x00\x00aK\x01s."}),
            "no named weights",
        ),
        (b"\x80\x02K\x01.", "a pickle, but no PyTorch checkpoint"),
    ],
    # Not the data: a zip holds the time it was made, and every worker must collect the
    # same names.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_strangers_are_named(data, message, tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message) as error:
        read_checkpoint(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_checkpoint(tmp_path / "none.pth")


def test_a_whole_pickled_model_is_refused(tmp_path):
    path = save(torch.nn.Linear(2, 2), tmp_path / "net.pth")
    with pytest.raises(UserError, match=r"Linear.*model.state_dict\(\)"):
        read_checkpoint(path)
