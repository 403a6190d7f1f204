import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from keras_dynamonet import DynamoNet
from keras_dynamonet.errors import MissingExtraError, UserError
from keras_dynamonet.exporters import tensorrt_engine, tensorrt_network
from keras_dynamonet.exporters.calibration import share_out
from keras_dynamonet.exporters.source import ExportSource
from tests.exporters.networks import moving_clips, sure_clips

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")

from keras_dynamonet.exporters.onnx import convert  # noqa: E402
from keras_dynamonet.exporters.tensorrt import (  # noqa: E402
    EngineSettings,
    build_engine,
    buildable_capabilities,
    export_tensorrt,
)
from keras_dynamonet.exporters.tensorrt_engine import (  # noqa: E402
    EngineRecord,
    Machine,
    check_fits,
    read_record,
    this_machine,
)
from keras_dynamonet.exporters.tensorrt_network import (  # noqa: E402
    describe_network,
    load_tensorrt,
    parse,
    with_float_biases,
)

try:
    RTX = load_tensorrt("tensorrt_rtx")
except MissingExtraError:
    pytest.skip(
        "TensorRT-RTX is not installed: it has wheels for x86-64 alone",
        allow_module_level=True,
    )

RECORD = EngineRecord("tensorrt_rtx", "1.7", ("8.6", "8.9"), (1, 2, 4), "ab", "int8")


@pytest.fixture(scope="module")
def small(source):
    """Two outputs: engines build in seconds. Random networks hesitate on most clips."""
    clips = sure_clips(source.model, moving_clips(128, 4, 16), 36)
    calibration = moving_clips(8, 4, 16, seed=1)
    clips = share_out(np.concatenate([clips, calibration]), len(clips))
    return ExportSource(source.model, clips, ("probabilities", "next_frame"))


@pytest.fixture(scope="module")
def models(small):
    """ONNX files by precision."""
    return {
        precision: with_float_biases(
            convert(small, precision=precision)
        ).SerializeToString()
        for precision in ("float32", "float16", "bfloat16", "int8")
    }


@pytest.fixture(scope="module", params=["float32", "float16", "bfloat16", "int8"])
def parsed(request, models):
    _, network, alive = parse(RTX, models[request.param])
    yield request.param, describe_network(network)
    del network, alive


@pytest.fixture(scope="module")
def exported(small, tmp_path_factory):
    target = tmp_path_factory.mktemp("engine") / "model.engine"
    result = export_tensorrt(
        small,
        target,
        precision="int8",
        compute_capabilities=("8.6", "8.9"),
        min_batch=1,
        opt_batch=2,
        max_batch=4,
        workspace_mib=512,
        flavour="tensorrt_rtx",
    )
    return result


def test_the_network_has_the_precision_of_the_model(parsed):
    precision, network = parsed
    assert [(t.name, t.shape, t.dtype) for t in network.inputs] == [
        ("clip", (-1, 4, 16, 16, 3), "UINT8")
    ]
    outputs = {tensor.name: (tensor.shape, tensor.dtype) for tensor in network.outputs}
    assert outputs == {
        "probabilities": ((-1, 5), "FLOAT"),
        "next_frame": ((-1, 16, 16, 3), "FLOAT"),
    }
    assert not any(kind.startswith("LOOP") for kind in network.layers)
    half = {"float16": "HALF", "bfloat16": "BF16"}.get(precision)
    backbone = 17
    for dtype in ("HALF", "BF16"):
        expected = backbone if dtype == half else 0
        assert network.layers.get(f"CONVOLUTION {dtype}", 0) == expected
    assert network.quantized_convolutions == (backbone if precision == "int8" else 0)


def test_an_engine_is_written_with_its_record(exported):
    assert exported.size_bytes > 100_000
    record, document = read_record(exported.path)
    assert record.compute_capabilities == ("8.6", "8.9")
    assert record.batches == (1, 2, 4)
    assert record.version == RTX.version
    assert len(record.onnx_sha256) == 64
    assert record.platform == this_machine().platform
    assert document["workspace_mib"] == 512
    assert document["network"]["quantized_convolutions"] == 17


@pytest.mark.skipif(this_machine().compute_capability is not None, reason="has a GPU")
def test_without_a_gpu_nobody_claims_that_the_engine_has_run(exported):
    document = json.loads(exported.sidecar.read_text())
    assert document["engine_has_run"] is False
    assert "the engine has not run" in exported.parity.runtime
    with pytest.raises(UserError, match="needs an NVIDIA GPU"):
        check_fits(exported.path, read_record(exported.path)[0], this_machine())


def test_bfloat16_engines_are_built_too(models):
    settings = EngineSettings(
        compute_capabilities=("8.9",), max_batch=2, flavour="tensorrt_rtx"
    )
    engine, network = build_engine(models["bfloat16"], settings)
    assert len(engine) > 100_000
    assert network.layers["CONVOLUTION BF16"] == 17


@pytest.mark.parametrize(
    ("preset", "convolutions"), [("nano-16f", 17), ("resnext101-16f", 104)]
)
def test_engines_of_whole_presets_are_built(preset, convolutions):
    model = DynamoNet.from_preset(preset, num_classes=400)
    clips = np.zeros((2, model.num_frames, *model.frame_size, 3), "uint8")
    proto = convert(ExportSource(model, share_out(clips, 1), ("probabilities",)))
    onnx_bytes = with_float_biases(proto).SerializeToString()
    settings = EngineSettings(
        min_batch=1,
        opt_batch=4,
        max_batch=8,
        compute_capabilities=("8.6", "8.9"),
        flavour="tensorrt_rtx",
    )
    engine, network = build_engine(onnx_bytes, settings)
    assert len(engine) > 4 * model.backbone.count_params()
    assert network.layers["CONVOLUTION FLOAT"] >= convolutions
    shape = model.num_frames, *model.frame_size, 3
    assert network.profile == {"clip": tuple((n, *shape) for n in (1, 4, 8))}
    assert not any(kind.startswith("LOOP") for kind in network.layers)


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        (Machine({}, "8.9"), "needs tensorrt_rtx 1.7"),
        (
            Machine({"tensorrt_rtx": "1.8"}, "8.9"),
            "built by tensorrt_rtx 1.7, here is 1",
        ),
        (Machine({"tensorrt_rtx": "1.7"}, None, "no driver"), "NVIDIA GPU: no driver"),
        (
            Machine({"tensorrt_rtx": "1.7"}, "12.0"),
            "compute capability 8.6, 8.9, this GPU has 12.0.*Export again",
        ),
    ],
)
def test_engines_that_do_not_fit_are_refused(machine, message):
    with pytest.raises(UserError, match=message):
        check_fits("model.engine", RECORD, machine)


def test_engines_that_fit_are_accepted():
    check_fits("model.engine", RECORD, Machine({"tensorrt_rtx": "1.7"}, "8.9"))


def test_engines_stay_on_their_platform():
    record = replace(RECORD, flavour="tensorrt", platform="Linux x86_64")
    versions = {"tensorrt": "1.7", "tensorrt_rtx": "1.7"}
    fitting = Machine(versions, "8.9", platform="Linux x86_64")
    check_fits("model.engine", record, fitting)
    other = replace(fitting, platform="Windows AMD64")
    check_fits("model.engine", replace(record, flavour="tensorrt_rtx"), other)
    message = "built on Linux x86_64, this is Windows.*--flavour tensorrt --precision"
    with pytest.raises(UserError, match=message):
        check_fits("model.engine", record, other)


def test_engines_need_their_own_sidecar(exported, tmp_path):
    engine = tmp_path / "model.engine"
    with pytest.raises(UserError, match="no such file"):
        read_record(engine)
    engine.write_bytes(exported.path.read_bytes())
    with pytest.raises(UserError, match="needs its sidecar"):
        read_record(engine)
    sidecar = tmp_path / "model.engine.json"
    sidecar.write_text("{}")
    with pytest.raises(UserError, match="not the sidecar of an engine"):
        read_record(engine)
    sidecar.write_text(exported.sidecar.read_text())
    read_record(engine)
    engine.write_bytes(b"another")
    with pytest.raises(UserError, match="is not the engine that model.engine.json"):
        read_record(engine)


def test_impossible_options_are_refused(small, tmp_path, monkeypatch):
    no_gpu = Machine({"tensorrt_rtx": RTX.version}, None, "no driver")
    module = "keras_dynamonet.exporters.tensorrt.this_machine"
    monkeypatch.setattr(module, lambda: no_gpu)

    def export(match, **options):
        with pytest.raises(UserError, match=match):
            export_tensorrt(
                small, tmp_path / "a.engine", flavour="tensorrt_rtx", **options
            )

    ada = {"compute_capabilities": ("8.9",)}
    export("There is no precision 'int4'", precision="int4")
    export("no GPU here.*no driver.*Name --compute-capabilities, e.g. 8.9 .*from 8.0")
    export("cannot build for compute capability 9.0", compute_capabilities=("9.0",))
    export("cannot build for compute capability 7.5", compute_capabilities=("7.5",))
    export("cache cannot be written there", timing_cache=f"{__file__}/cache")
    export("cache cannot be written there", timing_cache=tmp_path)
    export("no timing cache", timing_cache=tmp_path / "cache", **ada)
    export("bfloat16 engine can only be compared on a GPU", precision="bfloat16", **ada)
    export("1 <= min <= opt <= max. Received: 1, 9, 8", opt_batch=9)
    for impossible in (0, 10**15):
        export(f"1 to 1048576 MiB. Received: {impossible}", workspace_mib=impossible)
    assert list(tmp_path.iterdir()) == []


def test_tensorrt_proper_builds_on_its_gpu_only(monkeypatch):
    module = "keras_dynamonet.exporters.tensorrt"
    proper = tensorrt_network.TensorRT("tensorrt", RTX.module)
    monkeypatch.setattr(f"{module}.load_tensorrt", lambda flavour: proper)
    machine = Machine({}, None, "no driver")
    monkeypatch.setattr(f"{module}.this_machine", lambda: machine)
    with pytest.raises(UserError, match="builds engines on their GPU only: no driver"):
        build_engine(b"", EngineSettings())
    machine = Machine({}, "9.0")
    with pytest.raises(UserError, match=r"the GPU at hand \(9.0\) only. Received: 8.9"):
        build_engine(b"", EngineSettings(compute_capabilities=("8.9",)))


def test_models_that_tensorrt_cannot_read_are_refused(caplog):
    with caplog.at_level(logging.CRITICAL):
        with pytest.raises(UserError, match="tensorrt_rtx cannot read the ONNX model"):
            parse(RTX, b"no model")


def test_missing_and_unknown_flavours_are_named(monkeypatch):
    with pytest.raises(UserError, match="no TensorRT flavour 'fast'"):
        load_tensorrt("fast")

    def fail(name):
        raise ImportError(name)

    monkeypatch.setattr(tensorrt_network.importlib, "import_module", fail)
    with pytest.raises(MissingExtraError, match=r"keras-dynamonet\[tensorrt-rtx\]"):
        load_tensorrt()
    with pytest.raises(MissingExtraError, match=r"keras-dynamonet\[tensorrt\]"):
        load_tensorrt("tensorrt")
    assert tensorrt_engine.this_machine().versions == {}


def test_buildable_gpus_are_read_from_the_package():
    assert {"8.6", "8.9", "12.0"} <= set(buildable_capabilities(RTX))


def test_the_machine_has_the_installed_flavour():
    assert this_machine().versions["tensorrt_rtx"] == RTX.version
