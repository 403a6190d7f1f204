import json

import pytest

from keras_dynamonet.cli.main import main
from tests.exporters.networks import moving_clips, tiny_network


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory):
    """A `.keras` file and three other forms of it, without their proofs."""
    pytest.importorskip("tf2onnx")
    pytest.importorskip("ai_edge_litert")
    import tensorflow as tf

    from keras_dynamonet.exporters import onnx, tflite
    from keras_dynamonet.exporters.calibration import share_out
    from keras_dynamonet.exporters.signature import make_inference_function
    from keras_dynamonet.exporters.source import ExportSource

    folder = tmp_path_factory.mktemp("benchmark")
    network = tiny_network()
    network.save(folder / "net.keras")
    source = ExportSource(network, share_out(moving_clips(4, 4, 16)), ("logits",))
    (folder / "net.onnx").write_bytes(onnx.convert(source).SerializeToString())
    (folder / "net.tflite").write_bytes(tflite.convert(source, batch=2))
    function = make_inference_function(network, ("logits",))
    serve = tf.function(
        lambda clip: {"logits": function(clip)["logits"]},
        input_signature=[source.signature.clip_spec()],
    )
    signatures = {"serving_default": serve}
    tf.saved_model.save(tf.Module(), str(folder / "net"), signatures=signatures)
    return folder


FAST = ["--duration", "0.01", "--iterations", "3", "--warm-up", "0"]


@pytest.mark.parametrize(
    ("name", "runtimes"),
    [
        ("net.keras", ["keras-predict", "keras-function"]),
        ("net", ["tensorflow"]),
        ("net.onnx", ["onnxruntime", "openvino"]),
        ("net.tflite", ["litert"]),
    ],
)
def test_each_kind_is_timed_in_its_runtimes(artefacts, name, runtimes, capsys):
    pytest.importorskip("openvino")
    target = str(artefacts / name)
    arguments = ["benchmark", target, "--batch", "2", "--threads", "1", "--json"]
    assert main([*arguments, *FAST]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["machine"]["cpus"] >= 1
    assert [result["with"] for result in document["results"]] == runtimes
    for result in document["results"]:
        assert (result["target"], result["batch"]) == (target, 2)
        assert result["threads"] == 1
        assert result["runs"] >= 3
        latency = result["latency"]
        assert 0 < latency["min"] <= latency["median"] <= latency["percentile(99%)"]
        assert result["clips_per_second"] == 2 * result["throughput_qps"]
        assert result["peak_memory_mib"] > 10
        assert "text" not in result


def test_the_report_speaks_as_trtexec_does(artefacts, capsys):
    target = str(artefacts / "net.onnx")
    arguments = ["benchmark", target, "--batch", "1", "2", "--runtime", "onnxruntime"]
    assert main([*arguments, *FAST]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"=== {target}, onnxruntime, batch 1 ==="
    assert lines[1].startswith("Runtime: onnxruntime ")
    assert lines[2].startswith("Throughput: ") and lines[2].endswith(" qps")
    assert lines[3].startswith("Latency: min = ") and "percentile(99%) = " in lines[3]
    assert [line.split(":")[0] for line in lines[4:7]] == [
        *("Total Host Walltime", "Clips", "Peak memory")
    ]
    assert lines[8] == f"=== {target}, onnxruntime, batch 2 ==="
    titles = "target runtime batch median ms clips/s peak MiB"
    assert lines[-3].split() == titles.split()
    assert lines[-1].split()[1:3] == ["onnxruntime", "2"]


def test_a_case_that_fails_does_not_stop_the_others(artefacts, capsys):
    arguments = ["benchmark", str(artefacts / "net.tflite"), "--batch", "1", "2"]
    assert main([*arguments, *FAST, "--json"]) == 1
    captured = capsys.readouterr()
    (result,) = json.loads(captured.out)["results"]
    assert result["batch"] == 2
    assert "net.tflite: takes batches of 2 only, not of 1. Give --b" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vgg"], "vgg: nothing of that name"),
        (["nano-16f", "--runtime", "jax"], "no runtime 'jax'"),
        (["nano-16f", "--batch", "0"], "`batch` must be at least 1"),
        (["nano-16f", "--threads", "4096"], "--threads 4096: there are"),
    ],
)
def test_mistakes_take_one_line(arguments, message, capsys):
    assert main(["benchmark", *arguments]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_what_a_runtime_refuses_is_said(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    (tmp_path / "net.onnx").write_bytes(b"no network")
    target = str(tmp_path / "net.onnx")
    assert main(["benchmark", target, "--runtime", "onnxruntime"]) == 1
    assert "net.onnx: ONNX Runtime cannot load it: " in capsys.readouterr().err
