import collections
import dataclasses
import json

import numpy as np
import pytest

from keras_dynamonet.errors import MissingExtraError, UserError
from keras_dynamonet.exporters.calibration import share_out
from keras_dynamonet.exporters.folding import fold
from keras_dynamonet.exporters.parity import Tolerance, compare, run_in_batches
from keras_dynamonet.exporters.runtimes import RUNTIMES
from keras_dynamonet.exporters.signature import make_inference_function
from keras_dynamonet.exporters.source import ExportSource
from tests.exporters.networks import moving_clips, tiny_network

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")

from keras_dynamonet.exporters import onnx_precision  # noqa: E402
from keras_dynamonet.exporters.onnx import (  # noqa: E402
    convert,
    export_onnx,
    load_runner,
    require_onnx,
)
from keras_dynamonet.exporters.onnx_graph import (  # noqa: E402
    attribute,
    check,
    set_groups,
    three_dimensional,
)
from keras_dynamonet.exporters.onnx_kernels import take_out_kernels  # noqa: E402
from keras_dynamonet.exporters.onnx_precision import (  # noqa: E402
    cast_backbone,
    check_precision,
    convolution_types,
    largest_in_half,
    quantise_backbone,
)

# Random weights put many clips between two classes: fewer agree than of real ones.
RANDOM_INT8 = Tolerance(cosine=0.99, top1=0.9)


@pytest.fixture(scope="module")
def model(source):
    return convert(source)


@pytest.fixture(scope="module")
def pooled():
    """Everything that the small network has not: pool, STC, generated filters."""
    network = tiny_network(
        "pooled", backbone={"stc_ratio": 4, "size": 16}, filter_source="generated"
    )
    return ExportSource(network, share_out(moving_clips(12, 4, 16), 12))


def test_kernels_do_not_pass_through_the_converter(source):
    graph_def = make_inference_function(
        fold(source.model, conv_form="traced"), ["logits"]
    ).graph_def
    before = graph_def.ByteSize()
    kernels = take_out_kernels(graph_def)
    assert kernels and all(kernel.ndim == 5 for kernel in kernels.values())
    saved = sum(kernel.nbytes for kernel in kernels.values())
    assert graph_def.ByteSize() < before - 0.9 * saved
    kinds = {node.name: node.op for node in graph_def.node}
    assert {kinds[name] for name in kernels} == {"Placeholder"}


def run_model(model, clips, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    return load_runner(path)[0](clips)


def assert_near(received, source, count, **tolerance):
    for name, value in source.expected.items():
        np.testing.assert_allclose(
            received[name], value[:count], err_msg=name, **tolerance
        )


def test_exported_file_passes(source, tmp_path):
    result = export_onnx(source, tmp_path / "model.onnx", opset=18)
    assert result.parity
    model = onnx.load(result.path)
    assert model.opset_import[0].version == 18
    document = json.loads(result.sidecar.read_text())
    assert set(document["convolutions"].values()) == {"float32"}
    assert {"onnx", "onnxruntime", "tf2onnx"} <= set(document["versions"])
    metadata = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert metadata["class_names"] == source.model.class_names


def test_convolutions_are_single_grouped_nodes(source, model):
    found = {node.name: node for node in three_dimensional(model.graph)}
    # One for the stem and four for each of four blocks.
    assert len(found) == 17
    assert attribute(found["stage1_block1/grouped"], "group") == 4
    assert attribute(found["stage1_block1/grouped"], "pads") == [1] * 6
    assert attribute(found["stem_conv"], "group") == 1
    operators = collections.Counter(node.op_type for node in model.graph.node)
    assert not {"Loop", "If", "Scan"} & set(operators)
    assert operators["Cast"] == 1


def test_inputs_and_outputs_go_by_name(source, model):
    (clip,) = model.graph.input
    dims = clip.type.tensor_type.shape.dim
    assert clip.name == "clip"
    assert dims[0].dim_param == "batch"
    assert [dim.dim_value for dim in dims[1:]] == [4, 16, 16, 3]
    assert clip.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [value.name for value in model.graph.output] == list(source.outputs)
    for value in model.graph.output:
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.parametrize("count", [1, 3, 8])
def test_any_batch(source, model, count, tmp_path):
    received = run_model(model, source.clips.parity[:count], tmp_path)
    assert_near(received, source, count, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_openvino_agrees(source, model, precision, tmp_path):
    """As closely as ONNX Runtime, see the tests of each precision."""
    pytest.importorskip("openvino")
    if precision == "float16":
        model = cast_backbone(model)
    elif precision == "int8":
        model = quantise_backbone(model, source.clips.calibration)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    loaded = RUNTIMES["openvino"].load(str(path), 1)
    received = run_in_batches(loaded.run, source.clips.parity)
    if precision == "int8":
        assert compare("int8", source.expected, received, tolerance=RANDOM_INT8)
    else:
        near = {"float32": 1e-3, "float16": 2e-2}[precision]
        assert_near(received, source, 36, atol=near, rtol=near)


def test_pool_stc_and_generated_filters(pooled, tmp_path):
    model = convert(pooled)
    pools = [node for node in model.graph.node if node.op_type == "MaxPool"]
    stem = [node for node in pools if len(attribute(node, "kernel_shape")) == 3]
    assert [attribute(node, "pads") for node in stem] == [[1] * 6]
    received = run_model(model, pooled.clips.parity, tmp_path)
    assert_near(received, pooled, 12, atol=1e-3, rtol=1e-3)
    half = cast_backbone(model)
    check(half)
    received = run_model(half, pooled.clips.parity, tmp_path)
    assert_near(received, pooled, 12, atol=3e-2, rtol=3e-2)


def test_half_precision_is_for_the_backbone_alone(source, model, tmp_path):
    half = cast_backbone(model)
    check(half)
    assert set(convolution_types(half).values()) == {"float16", "float32"}
    assert {
        name for name, kind in convolution_types(half).items() if kind == "float16"
    } == {node.name for node in three_dimensional(model.graph)}
    received = run_model(half, source.clips.parity, tmp_path)
    exact = run_model(model, source.clips.parity, tmp_path)
    assert_near(received, source, 36, atol=2e-2, rtol=2e-2)
    # The filters never pass through the backbone.
    np.testing.assert_array_equal(received["motion_filters"], exact["motion_filters"])


def test_the_largest_number_of_the_backbone_is_found(source, model, tmp_path):
    clips = source.clips.parity[:3]
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    convolution = three_dimensional(probe.graph)[0]
    weights = {tensor.name: tensor for tensor in probe.graph.initializer}
    kernel = weights[convolution.input[1]]
    values = onnx.numpy_helper.to_array(kernel) * np.float32(1e6)
    kernel.CopyFrom(onnx.numpy_helper.from_array(values, kernel.name))
    largest, name = largest_in_half(probe, clips)
    made = {name, convolution.output[0]}
    probe.graph.output.extend(
        onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, None)
        for tensor in made
    )
    received = run_model(probe, clips, tmp_path)
    sizes = {tensor: np.abs(received[tensor]).max() for tensor in made}
    assert largest == pytest.approx(sizes[name], rel=1e-5)
    assert largest >= sizes[convolution.output[0]] * (1 - 1e-6) > 65504


def test_a_backbone_beyond_float16_is_refused(source, tmp_path, monkeypatch):
    result = export_onnx(source, tmp_path / "model.onnx", precision="float16")
    largest = json.loads(result.sidecar.read_text())["largest_in_float16"]
    assert 0 < largest < 1000
    monkeypatch.setattr(onnx_precision, "FLOAT16_LIMIT", largest / 2)
    with pytest.raises(UserError, match="float16 ends at 65,504, and .* goes up to"):
        export_onnx(source, tmp_path / "other.onnx", precision="float16")
    assert not list(tmp_path.glob("other*"))
    assert convert(source, precision="bfloat16").graph.node


def test_bfloat16_is_written_for_tensorrt(model):
    types = set(convolution_types(cast_backbone(model, "bfloat16")).values())
    assert types == {"bfloat16", "float32"}


def test_int8_quantises_every_convolution(source, tmp_path):
    model = convert(source, precision="int8")
    types = convolution_types(model)
    backbone = {name for name in types if name.startswith(("stem_conv", "stage"))}
    assert len(backbone) == 17
    assert {types[name] for name in backbone} == {"int8"}
    assert {types[name] for name in types if name not in backbone} == {"float32"}
    received = run_model(model, source.clips.parity, tmp_path)
    assert compare("int8", source.expected, received, tolerance=RANDOM_INT8)
    # Symmetric, one scale a channel: what TensorRT takes.
    constants = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
    }
    scales = [
        constants[node.input[1]].size
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in constants
    ]
    assert max(scales) > 1
    # Two products of 7 and 8 bits fit into the 16 bits of processors without VNNI.
    kernels = [array for array in constants.values() if array.ndim == 5]
    kernels = [array for array in kernels if array.dtype == np.int8]
    assert len(kernels) == 17
    assert all(32 < abs(kernel.astype(int)).max() <= 64 for kernel in kernels)
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            assert constants[node.input[2]].dtype == np.int8
            assert not constants[node.input[2]].any()


def test_convolutions_that_the_quantiser_leaves_are_refused(source, monkeypatch):
    monkeypatch.setattr(
        onnx_precision, "quantise_backbone", lambda model, clips: cast_backbone(model)
    )
    with pytest.raises(UserError, match="17 of 17 convolutions .* are not int8: stem"):
        convert(source, precision="int8")


def test_lower_precision_needs_convolutions(model):
    with pytest.raises(UserError, match="are not float16: there are none"):
        check_precision(model, [], "float16")


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_outputs_without_the_backbone_have_one_precision(source, precision, tmp_path):
    alone = dataclasses.replace(source, outputs=("motion_filters", "next_frame"))
    with pytest.raises(UserError, match="motion_filters, next_frame need nothing of"):
        export_onnx(alone, tmp_path / "model.onnx", precision=precision)
    assert not list(tmp_path.iterdir())


def scales(model, clips):
    """Of the activations, by name."""
    return {
        tensor.name: float(onnx.numpy_helper.to_array(tensor))
        for tensor in quantise_backbone(model, clips).graph.initializer
        if tensor.name.endswith("_scale") and not tensor.dims
    }


def test_ranges_are_means_over_groups_of_clips(model):
    clips = moving_clips(9, 4, 16)
    clips[5:] //= 8
    singles = [scales(model, clip[None]) for clip in clips]
    found = scales(model, clips)  # in groups of 5 and 4
    exact = 0
    for name, scale in found.items():
        light = max(single[name] for single in singles[:5])
        dark = max(single[name] for single in singles[5:])
        assert scale <= (light + dark) / 2 * (1 + 1e-5)
        # Those of tensors with values of both signs may be less.
        exact += np.isclose(scale, (light + dark) / 2, rtol=1e-4)
        assert not np.isclose(light, dark)
    assert exact > len(found) / 2


def test_custom_operators_are_refused(model):
    broken = onnx.ModelProto()
    broken.CopyFrom(model)
    broken.graph.node[0].domain = "com.example"
    with pytest.raises(UserError, match="has custom operators"):
        check(broken)


def test_control_flow_is_refused(model):
    broken = onnx.ModelProto()
    broken.CopyFrom(model)
    broken.graph.node[0].op_type = "Loop"
    with pytest.raises(UserError, match="has control flow: \\['Loop'\\]"):
        check(broken)


def test_contradicting_shapes_are_refused(model):
    broken = onnx.ModelProto()
    broken.CopyFrom(model)
    broken.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 77
    with pytest.raises(UserError, match="The ONNX graph is invalid"):
        check(broken)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model at all")
    with pytest.raises(UserError, match="model.onnx: ONNX Runtime cannot load it: "):
        load_runner(path)


def test_unknown_channels_are_refused(model):
    broken = onnx.ModelProto()
    broken.CopyFrom(model)
    node = three_dimensional(broken.graph)[0]
    node.input[0] = "nowhere"
    with pytest.raises(UserError, match="hides the channels that stem_conv takes"):
        set_groups(broken)


@pytest.mark.parametrize("opset", [15, 19])
def test_other_opsets_are_refused(source, opset):
    with pytest.raises(UserError, match=f"opset must be 17 or 18. Received: {opset}"):
        convert(source, opset=opset)


def test_other_precisions_are_refused(source, tmp_path):
    with pytest.raises(UserError, match="comes in float32, float16, int8, not in bfl"):
        export_onnx(source, tmp_path / "model.onnx", precision="bfloat16")


def test_missing_extra_is_named(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingExtraError, match=r'pip install "keras-dynamonet\[onnx\]"'
    ):
        require_onnx()
