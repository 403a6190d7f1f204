import collections
import json

import keras
import numpy as np
import pytest

from keras_dynamonet.errors import MissingExtraError, UserError
from keras_dynamonet.exporters.calibration import share_out
from keras_dynamonet.exporters.runtimes import WITHOUT_XNNPACK
from keras_dynamonet.exporters.source import ExportSource
from tests.exporters.networks import moving_clips, sure_clips, tiny_network

pytest.importorskip("ai_edge_litert")

from benchmarks.tflite_operators import count_products, profile  # noqa: E402
from keras_dynamonet.exporters import tflite  # noqa: E402
from keras_dynamonet.exporters.tflite import (  # noqa: E402
    convert,
    export_tflite,
    load_runner,
)
from keras_dynamonet.exporters.tflite_operators import (  # noqa: E402
    Operator,
    belongs_to,
    check_builtin,
    check_int8,
    count_operators,
    list_convolutions,
    list_operators,
    operators_of,
    read_graph,
    stored_bytes,
)
from keras_dynamonet.exporters.tflite_quantization import (  # noqa: E402
    measure_ranges,
    quantise,
)

# Basic blocks, pool, STC, generated filters, maps to solve on: each was left in float,
# or refused by a runtime, by one way of quantising or another.
NETWORKS = {
    "bottleneck": {},
    "basic": {"backbone": {"block": "basic", "expansion": 1}, "solver_maps": 2},
    "stc": {
        "stem": "pooled",
        "backbone": {"stc_ratio": 4, "size": 16},
        "filter_source": "generated",
    },
    "flatten": {"per_channel": True, "descriptor": "flatten"},
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.long if name == "basic" else ())
        for name in NETWORKS
    ],
)
def sure_source(request):
    """Clips on which the network is sure: rounding must not change their class."""
    keras.utils.set_random_seed(0)
    network = tiny_network(**NETWORKS[request.param])
    clips = sure_clips(network, moving_clips(256, 4, 16), 32)
    calibration = moving_clips(16, 4, 16, seed=1)
    return ExportSource(network, share_out(np.concatenate([clips, calibration]), 32))


@pytest.fixture(scope="module")
def float_file(source):
    return convert(source)


def test_int8_agrees_with_keras(sure_source, tmp_path):
    target = tmp_path / "model.tflite"
    result = export_tflite(sure_source, target, precision="int8")
    assert result.parity
    assert "with XNNPACK" in result.parity.runtime
    for entry in result.parity.entries:
        assert entry.cosine > 0.99
    model = sure_source.model
    for name in ("motion_filters", "next_frame"):
        entry = next(e for e in result.parity.entries if e.output == name)
        rounded = model.filter_source == "generated" or model.solver_maps
        assert entry.max_relative < (0.1 if rounded else 1e-3)
    convolutions = json.loads((tmp_path / "model.tflite.json").read_text())[
        "convolutions"
    ]
    for layer in model.layers:
        if any(len(weight.shape) > 2 for weight in layer.trainable_weights):
            own = [c for c in convolutions if f"/{layer.name}" in c["name"]]
            assert own
            for c in own:
                assert c["weights"] == c["input"] == c["output"] == "INT8"
    # Each sum in eight bits would lose a step of the whole range.
    content = (tmp_path / "model.tflite").read_bytes()
    kinds = count_operators(content)
    assert "ADD FLOAT32" in kinds and "ADD INT8" not in kinds
    # What only moves numbers of eight bits does not turn them into floats for it.
    moves = [o for o in list_operators(content) if o.kind in ("SLICE", "TRANSPOSE")]
    assert {t for o in moves if "/stem" in o.name for t in o.output_types} == {"INT8"}
    assert_only_convolutions_round(list_operators(content))


def assert_only_convolutions_round(operators):
    """Convolutions round their results; others only what a convolution reads."""
    readers = collections.defaultdict(set)
    for operator in operators:
        for tensor in operator.inputs:
            readers[tensor].add(operator.kind)
    for operator in operators:
        if operator.output_types == ("INT8",) and operator.kind not in (
            "CONV_2D",
            "FULLY_CONNECTED",
        ):
            assert readers[operator.outputs[0]] - {"DEQUANTIZE"}, operator.name


def test_float32_agrees_with_keras(sure_source, tmp_path, caplog):
    result = export_tflite(sure_source, tmp_path / "model.tflite")
    assert result.parity
    assert "with XNNPACK" in result.parity.runtime
    assert "took no part" not in caplog.text


@pytest.mark.parametrize("sure_source", ["bottleneck"], indirect=True)
def test_plain_kernels_are_told(sure_source, tmp_path, monkeypatch, caplog):
    def load(path):
        run, runtime = load_runner(path)
        return run, runtime.replace("with XNNPACK", WITHOUT_XNNPACK)

    monkeypatch.setattr(tflite, "load_runner", load)
    export_tflite(sure_source, tmp_path / "model.tflite")
    assert "XNNPACK took no part of it" in caplog.text


@pytest.mark.parametrize("precision", ["float16", "dynamic_range"])
@pytest.mark.parametrize("sure_source", ["bottleneck"], indirect=True)
def test_small_weights_agree_with_keras(sure_source, precision, tmp_path):
    target = tmp_path / "model.tflite"
    assert export_tflite(sure_source, target, precision=precision).parity


def test_the_file_takes_any_batch_and_names_its_tensors(source, float_file, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(float_file)
    run, _ = load_runner(path, threads=1)
    for batch in (1, 3, 2):
        outputs = run(source.clips.parity[:batch])
        assert set(outputs) == set(source.outputs)
        np.testing.assert_allclose(
            outputs["probabilities"],
            source.expected["probabilities"][:batch],
            atol=1e-4,
        )


def test_a_fixed_batch_is_kept(source, tmp_path):
    target = tmp_path / "model.tflite"
    small = ExportSource(source.model, source.clips, ("logits",))
    export_tflite(small, target, batch=2)
    assert json.loads((tmp_path / "model.tflite.json").read_text())["batch"] == 2
    from ai_edge_litert.interpreter import Interpreter

    (clip,) = Interpreter(str(target)).get_input_details()
    assert clip["shape"].tolist() == [2, 4, 16, 16, 3]
    assert clip["dtype"] == np.uint8


def test_float_files_hold_no_integers_but_the_pixels(float_file):
    check_builtin(float_file)
    assert {c.input for c in list_convolutions(float_file)} == {"FLOAT32"}
    assert not any(name.endswith(" INT8") for name in count_operators(float_file))
    with pytest.raises(UserError, match="convolutions of the TFLite file are not INT8"):
        check_int8(float_file)


def test_biases_are_added_in_the_convolutions(float_file):
    model = read_graph(float_file)
    apart = [
        operator.name
        for operator in operators_of(model)
        if operator.kind == "ADD"
        and any(stored_bytes(model, tensor) is not None for tensor in operator.inputs)
    ]
    # A convolution whose bias stands apart, behind a reshape say, is read and written
    # once more, and its INT8 form rounds before it adds.
    assert not belonging(apart, ("stem", "stage"))
    assert belonging(apart, ("normalise",))  # names are what they were


def test_no_slice_of_the_backbone_has_strides(float_file):
    # LiteRT's kernel goes through those one number at a time.
    model = read_graph(float_file)
    strides = {
        operator.name: stored_bytes(model, operator.inputs[3]).view("int32")
        for operator in operators_of(model)
        if operator.kind == "STRIDED_SLICE"
    }
    names = belonging(strides, ("stem", "stage"))
    assert {int(step) for name in names for step in strides[name]} == {1}


def test_every_operator_is_timed(float_file, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(float_file)
    rows = profile(path, batch=2, threads=1, iterations=1, seconds=0).rows
    timed = collections.Counter()
    for name, number, *_ in rows[:-2]:
        timed[name.partition(",")[0]] += int(number)
    counts = count_operators(float_file)
    assert timed == {name: n for name, n in counts.items() if "INT" not in name}
    assert [row[0] for row in rows[-2:]] == ["sum of all", "whole file"]
    assert int(rows[-2][1]) == timed.total()
    times = [float(row[2]) for row in rows]
    assert all(time > 0 for time in times)
    np.testing.assert_allclose(sum(times[:-2]), times[-2], rtol=0.02)


@pytest.mark.parametrize(
    ("kind", "products"), [("CONV_2D", 2 * 5 * 6 * 8 * 3 * 3 * 4), ("ADD", 0)]
)
def test_products_are_those_of_the_weights(kind, products):
    operator = Operator(kind, "net/conv", (0, 1), (2,), (), (), None)
    shapes = {0: (2, 5, 6, 32), 1: (8, 3, 3, 4), 2: (2, 5, 6, 8)}
    assert count_products(operator, shapes) == products


def belonging(names, layers):
    return [name for name in names if any(f"/{layer}" in name for layer in layers)]


def test_nothing_to_quantise_is_an_error(source):
    # Frames alone: their patches are cut by convolutions, which have no weights.
    frames = ExportSource(source.model, source.clips, ("next_frame",))
    with pytest.raises(UserError, match="tflite: these outputs need no conv.*float32"):
        convert(frames, precision="int8")


def test_convolutions_whose_names_are_lost_are_found(source, float_file):
    from tensorflow.lite.tools import flatbuffer_utils

    model = read_graph(float_file)
    for tensor in model.subgraphs[0].tensors:
        if b"/stage2_block1" in tensor.name:
            tensor.name = b"lost"
    content = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    layers = tuple(f"/{layer.name}" for layer in source.model.layers)
    ranges = measure_ranges(content, source.clips.calibration)
    with pytest.raises(UserError, match="convolutions .* are not INT8: lost"):
        check_int8(quantise(content, ranges, layers))


@pytest.mark.parametrize(
    ("name", "belongs"),
    [
        ("net/stem/conv/Relu", True),
        ("net/stem_1/conv/Relu", True),
        ("net/other/add;net/stem", True),
        ("net/stem2/conv/Relu", False),
        ("net/stem_conv/Relu", False),
        ("stem/conv/Relu", False),  # the network itself
    ],
)
def test_layers_are_known_by_their_whole_name(name, belongs):
    assert belongs_to(name, ["/stem"]) == belongs


def test_custom_operators_are_refused(float_file):
    from tensorflow.lite.tools import flatbuffer_utils

    model = read_graph(float_file)
    model.operatorCodes[0].customCode = b"FlexMaxPool3D"
    content = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    with pytest.raises(UserError, match="not built in.*FlexMaxPool3D"):
        check_builtin(content)


def test_ranges_are_those_of_each_operators_own_result(source, float_file):
    # A convolution before a shortcut must not get the range of the sum, which is never
    # negative behind a ReLU and may be computed in the same memory.
    ranges = measure_ranges(float_file, source.clips.calibration[:2])
    expand = [o for o in list_operators(float_file) if "expand" in o.name]
    for operator in expand:
        if operator.kind == "CONV_2D":
            assert ranges[operator.outputs[0]][0] < 0


@pytest.mark.parametrize(
    ("count", "groups"),
    [
        (15, [15]),
        (17, [17]),
        (40, [20, 20]),
        pytest.param(56, [14] * 4, marks=pytest.mark.long),
    ],
)
def test_a_range_is_the_mean_over_equal_groups_of_clips(float_file, count, groups):
    clips = moving_clips(count, 4, 16)
    clips[: count // 2] //= 4  # dark
    singles = [measure_ranges(float_file, clip[None]) for clip in clips]
    found = measure_ranges(float_file, clips)
    cuts = np.cumsum(groups)[:-1]
    for tensor, limits in found.items():
        parts = np.split(np.array([ranges[tensor] for ranges in singles]), cuts)
        low = np.mean([part[:, 0].min() for part in parts])
        high = np.mean([part[:, 1].max() for part in parts])
        np.testing.assert_allclose(limits, (low, high), rtol=1e-4, atol=1e-6)


def test_what_a_maximum_reads_is_not_cut_off(float_file):
    clips = moving_clips(40, 4, 16)
    clips[:20] //= 4  # dark
    singles = [measure_ranges(float_file, clip[None]) for clip in clips]
    cut, uncut = (
        measure_ranges(float_file, clips, uncut=names)
        for names in ((), ("/motion_descriptor",))
    )
    wider = 0
    for operator in list_operators(float_file):
        for tensor in set(operator.outputs).intersection(cut):
            if "/motion_descriptor" not in operator.name:
                assert uncut[tensor] == cut[tensor]
                continue
            extremes = np.array([ranges[tensor] for ranges in singles])
            expected = (extremes[:, 0].min(), extremes[:, 1].max())
            np.testing.assert_allclose(uncut[tensor], expected, rtol=1e-4, atol=1e-6)
            wider += uncut[tensor][1] > 1.001 * cut[tensor][1]
    assert wider


def test_peaks_of_the_descriptor_fit_its_int8(source, monkeypatch):
    seen = {}

    def spy(content, clips, **kwargs):
        seen.update(kwargs)
        return measure_ranges(content, clips, **kwargs)

    monkeypatch.setattr(tflite, "measure_ranges", spy)
    convert(source, precision="int8")
    assert seen == {"uncut": (f"/{source.model.motion_descriptor.name}",)}


def test_a_fixed_batch_is_a_group_at_least(source):
    clips = moving_clips(48, 4, 16)
    clips[:24] //= 4
    by_batch = [
        measure_ranges(convert(source, batch=24), part) for part in np.split(clips, 2)
    ]
    both = measure_ranges(convert(source, batch=24), clips)
    for tensor, limits in both.items():
        expected = np.mean([ranges[tensor] for ranges in by_batch], axis=0)
        np.testing.assert_allclose(limits, expected, rtol=1e-4, atol=1e-6)


def test_dead_and_faint_layers_load(tmp_path):
    # Ranges of zero, or next to it, overflow the integer arithmetic of runtimes.
    network = tiny_network()
    for index, factor in ((2, 0.0), (3, 1e-5)):
        block = network.backbone.get_layer(f"stage{index}_block1")
        norm = block.convolutions[-1].norm
        norm.gamma.assign(norm.gamma * factor)
        norm.beta.assign(norm.beta * factor)
    first = network.backbone.get_layer("stage4_block1").convolutions[0].norm
    first.beta.assign(first.beta - 1e3)  # behind the ReLU, always zero
    clips = moving_clips(16, 4, 16)
    content = convert(ExportSource(network, share_out(clips, 8)), precision="int8")
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    run, _ = load_runner(path)
    outputs = run(clips[:8])
    expected = np.asarray(network(clips[:8], training=False)["logits"])
    assert np.corrcoef(outputs["logits"].ravel(), expected.ravel())[0, 1] > 0.98


def test_options_are_checked(source, tmp_path):
    target = tmp_path / "model.tflite"
    with pytest.raises(UserError, match="comes in float32, float16.*not in bfloat16"):
        export_tflite(source, target, precision="bfloat16")
    with pytest.raises(UserError, match="at least 1 clip. Received: 0"):
        export_tflite(source, target, batch=0)
    target.write_bytes(b"")
    with pytest.raises(UserError, match="exists already"):
        export_tflite(source, target)
    assert not list(tmp_path.glob("*.json"))


def test_the_extra_is_named_when_missing(source, tmp_path, monkeypatch):
    monkeypatch.setattr(tflite.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"keras-dynamonet\[tflite\]"):
        export_tflite(source, tmp_path / "model.tflite")


def test_damaged_files_are_refused(float_file, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"no model at all")
    with pytest.raises(UserError, match="LiteRT cannot load it"):
        load_runner(path)
