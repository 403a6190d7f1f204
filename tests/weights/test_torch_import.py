import numpy as np
import pytest

from keras_dynamonet.errors import UserError
from keras_dynamonet.weights import (
    export_state_dict,
    import_checkpoint,
    load_torch_checkpoint,
)
from keras_dynamonet.weights.safetensors_file import write_safetensors
from tests.weights.small_models import clips, make_classifier, run


def write(path, tensors):
    """Tensors without the description that this library adds."""
    shapes = {name: array.shape for name, array in tensors.items()}
    write_safetensors(path, tensors.items(), shapes, {})
    return path


@pytest.fixture(scope="module")
def tensors(tmp_path_factory):
    """The weights of a small network under their names in PyTorch."""
    from keras_dynamonet.weights import read_checkpoint

    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    export_state_dict(make_classifier(), path)
    stored = read_checkpoint(path).tensors
    return {name: tensor.read() for name, tensor in stored.items()}


@pytest.fixture
def checkpoint(tensors, tmp_path):
    return write(tmp_path / "net.safetensors", tensors)


def test_every_tensor_is_reported(tensors, tmp_path):
    extra = {f"bn{n}.num_batches_tracked": np.float32(3) for n in (1,)}
    result = import_checkpoint(write(tmp_path / "net.safetensors", tensors | extra))
    entries = {entry.name: entry for entry in result.report.entries}
    assert set(entries) == {*tensors, *extra}
    assert entries["conv1.weight"].status == "reshaped"
    assert entries["bn1.weight"].status == "matched"
    assert entries["bn1.num_batches_tracked"].status == "unused"
    assert "counter" in entries["bn1.num_batches_tracked"].note
    assert result.report.with_status("missing") == []
    assert result.report.to_dict()["counts"]["unused"] == 1


def test_model_computes_without_pytorch(tensors, checkpoint):
    expected = run(make_classifier(), clips())
    found = load_torch_checkpoint(checkpoint, num_frames=4, size=16)
    np.testing.assert_allclose(run(found, clips()), expected, rtol=1e-5, atol=1e-5)


def test_says_what_it_concluded(checkpoint):
    remarks = import_checkpoint(checkpoint).remarks
    assert remarks[0].startswith("Recognised ResNet-10, widths 4/8/8/8, shortcut B")
    assert "by the missing prefix" in remarks[-1]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"fc.bias": None}, "fc.bias is missing"),
        ({"layer2.0.bn1.running_var": None}, "layer2.0.bn1.running_var is missing"),
        ({"extra.weight": np.ones(3)}, "extra.weight belongs to no layer"),
        ({"layer2.0.bn1.bias": np.ones(7)}, r"has shape \(7,\) instead of \(8,\)"),
    ],
)
def test_anything_unexplained_is_an_error(change, message, tensors, tmp_path):
    changed = {k: v for k, v in (tensors | change).items() if v is not None}
    with pytest.raises(UserError, match=f"does not fit ResNet-10.*{message}"):
        import_checkpoint(write(tmp_path / "net.safetensors", changed))


def test_many_problems_are_counted(tensors, tmp_path):
    changed = {k: v for k, v in tensors.items() if not k.endswith("running_mean")}
    with pytest.raises(UserError, match=r"is missing; .* and \d+ more"):
        import_checkpoint(write(tmp_path / "net.safetensors", changed))


def test_wrong_class_count_says_what_to_do(checkpoint):
    with pytest.raises(UserError, match="3 classes, but 2 class.*--replace-head 2"):
        import_checkpoint(checkpoint, class_names=["a", "b"])


def test_class_names_are_kept(checkpoint):
    model = load_torch_checkpoint(checkpoint, class_names=["a", "b", "c"])
    assert model.class_names == ["a", "b", "c"]


def test_a_replaced_head_is_fresh(checkpoint):
    result = import_checkpoint(
        checkpoint, replace_head=2, class_names=["a", "b"], num_frames=4, size=16
    )
    assert result.model.num_classes == 2
    assert {entry.name for entry in result.report.with_status("unused")} == {
        "fc.weight",
        "fc.bias",
    }
    assert run(result.model, clips()).shape == (2, 2)


def test_a_backbone_can_get_a_head(tensors, tmp_path):
    body = {name: array for name, array in tensors.items() if "fc." not in name}
    path = write(tmp_path / "net.safetensors", body)
    assert load_torch_checkpoint(path).num_classes is None
    assert load_torch_checkpoint(path, replace_head=7).num_classes == 7
    with pytest.raises(UserError, match="has no classifier.*--replace-head 1"):
        load_torch_checkpoint(path, class_names=["a"])


def test_unknown_choices_are_refused(checkpoint):
    with pytest.raises(UserError, match="`--arch resnet-7` is unknown. Known: resnet"):
        import_checkpoint(checkpoint, arch="resnet-7")
    with pytest.raises(UserError, match="`--pixels dark` is unknown. Known: auto"):
        import_checkpoint(checkpoint, pixels="dark")


def test_a_forced_architecture_must_fit(checkpoint):
    with pytest.raises(UserError, match="does not fit ResNet-18.*has shape|is missing"):
        import_checkpoint(checkpoint, arch="resnet-18")


def test_forced_architecture_is_used(tmp_path):
    model = make_classifier(widths=(64, 128, 256, 512), stem_width=64, shortcut="A")
    path = tmp_path / "net.safetensors"
    export_state_dict(model, path)
    result = import_checkpoint(path, arch="resnet-10")
    assert result.remarks[0].startswith("As asked for: ResNet-10")
    with pytest.raises(UserError, match="does not fit ResNet-18, .*shortcut B"):
        import_checkpoint(path, arch="r3d18")
