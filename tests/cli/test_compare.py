import contextlib
import json
import shutil

import numpy as np
import pytest

from keras_dynamonet.exporters import accuracy, comparison
from keras_dynamonet.exporters.parity import compare
from keras_dynamonet.exporters.parity_report import write_parity
from keras_dynamonet.exporters.sidecar import sidecar_path
from keras_dynamonet.exporters.signature import make_inference_function
from keras_dynamonet.exporters.source import file_sha256, open_run
from tests.cli.command import exit_status
from tests.exporters.networks import moving_clips, tiny_network
from tests.exporters.written_artefacts import write_artefact


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A `.keras` file and clips."""
    folder = tmp_path_factory.mktemp("saved")
    tiny_network().save(folder / "net.keras")
    np.save(folder / "clips.npy", moving_clips(36, 4, 16))
    return folder / "net.keras", folder / "clips.npy"


@pytest.fixture
def runtime(monkeypatch):
    """Runs every artefact as the network itself, but none called `bad`."""

    def start(model):
        compiled = make_inference_function(model, ["logits"])

        def reference(clips):
            return {"logits": compiled(clips)["logits"].numpy()}

        def open_artefact(path, format):
            if path.stem == "bad":
                raise RuntimeError("no such operator\nin a long text")
            return contextlib.nullcontext((reference, "runtime 1"))

        for module in (comparison, accuracy):
            monkeypatch.setattr(module, "open_artefact", open_artefact)

    return start


def test_one_bad_artefact_does_not_stop_the_others(saved, runtime, tmp_path, capsys):
    runtime(tiny_network())
    paths = [tmp_path / f"{name}.onnx" for name in ("gone", "torn", "bad", "good")]
    for path in paths[1:]:
        write_artefact(path)
    sidecar_path(paths[1]).write_text("{}")
    out = tmp_path / "out"
    out.mkdir()
    outputs = {"logits": np.random.default_rng(0).normal(size=(4, 5))}
    write_parity(out, [compare(n, outputs, outputs) for n in ("gone.onnx", "old")])
    words = ["compare", saved[0], *paths, "--data", saved[1], "--out", out]
    assert exit_status(*words, "--json") == 1
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert [e["artefact"] for e in document["parity"]] == ["good.onnx"]
    assert document["parity"][0]["passed"]
    for error, message in zip(
        document["errors"],
        (
            "gone.onnx: no such artefact",
            "torn.onnx.json: is not the sidecar of an artefact: it lacks `format`",
            "bad.onnx: RuntimeError: no such operator",
        ),
        strict=True,
    ):
        assert message in error and "\n" not in error
        assert message in " ".join(printed.err.split())
    entries = json.loads((out / "parity.json").read_text())["entries"]
    assert [e["artefact"] for e in entries] == ["old", "good.onnx"]
    assert exit_status("compare", saved[0], paths[3], "--data", saved[1]) == 0
    assert "good.onnx: float32 in runtime 1, 36 clips" in capsys.readouterr().out


def test_an_artefact_of_another_file_that_differs_is_told(
    saved, runtime, tmp_path, capsys
):
    path = write_artefact(tmp_path / "a.onnx", source={"sha256": "0" * 64})
    words = ["compare", saved[0], path, "--data", saved[1]]

    def errors(status):
        assert exit_status(*words, "--json") == status
        printed = capsys.readouterr()
        found = json.loads(printed.out)["errors"]
        for error in found:
            assert error in " ".join(printed.err.split())
        return found

    runtime(tiny_network())
    assert errors(0) == []
    runtime(tiny_network(seed=1))
    (error,) = errors(1)
    own = file_sha256(saved[0])[:8]
    told = "was exported from another file (SHA-256 00000000) than"
    assert error.startswith(f"{path}: {told} {saved[0]} ({own}). ")
    assert exit_status(*words) == 1
    printed = " ".join(capsys.readouterr().err.split())
    assert error in printed and "a.onnx: logits: " in printed
    # One of the same file that differs.
    write_artefact(path, source={"sha256": file_sha256(saved[0])})
    assert errors(1) == []


def test_the_network_is_not_loaded_for_nothing(tmp_path, capsys):
    words = ["compare", tmp_path / "none", tmp_path / "a.onnx", "--json"]
    assert exit_status(*words) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["parity"], document["accuracy"]) == ([], [])
    assert len(document["errors"]) == 1


def test_accuracy_goes_on_after_an_artefact_without_classes(
    trained_run, runtime, monkeypatch, tmp_path, capsys
):
    run = trained_run.run.path
    runtime(open_run(run).model)
    paths = [tmp_path / f"{name}.onnx" for name in ("blind", "good")]
    write_artefact(paths[0], outputs=("embedding",))
    write_artefact(paths[1])
    assert exit_status("compare", run, *paths, "--accuracy", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert {e["artefact"] for e in document["parity"]} == {"blind.onnx", "good.onnx"}
    assert [e["artefact"] for e in document["accuracy"]] == ["good.onnx"]
    (error,) = document["errors"]
    assert "blind.onnx: gives neither probabilities nor logits" in error


@pytest.fixture
def all_videos(action_videos, tmp_path):
    """A list without splits of what the run was trained on and of what it was not."""
    videos = [path for path in action_videos.glob("t*/*/*.mp4")]
    lines = [f"{path},{path.parent.name}\n" for path in videos]
    shutil.copy(videos[0], tmp_path / "unlabelled.mp4")
    lines.append(f"{tmp_path}/unlabelled.mp4,\n")
    (tmp_path / "all.csv").write_text("path,label\n" + "".join(lines))
    return tmp_path / "all.csv"


def test_accuracy_is_of_videos_that_the_network_was_not_trained_on(
    trained_run, action_videos, all_videos, runtime, tmp_path, capsys
):
    run = trained_run.run.path
    runtime(open_run(run).model)
    path = write_artefact(tmp_path / "good.onnx")
    words = ["compare", run, path, "--accuracy", "--json", "--data"]
    assert exit_status(*words, all_videos) == 0
    printed = capsys.readouterr()
    (accuracy,) = json.loads(printed.out)["accuracy"]
    assert accuracy["videos"] == 6
    told = " ".join(printed.err.split())
    assert "Left out: 12 videos that the model was trained on." in told
    words.remove("--json")
    assert exit_status(*words, action_videos, "--split", "train") == 0
    printed = capsys.readouterr()
    assert "Accuracy on 12 labelled videos" in " ".join(printed.out.split())
    told = " ".join(printed.err.split())
    assert "warning: the model was trained on 12 of these 12 videos" in told


def test_figures_of_an_artefact_that_only_cannot_run_here_are_kept(
    saved, runtime, tmp_path, capsys
):
    runtime(tiny_network())
    path, out = write_artefact(tmp_path / "bad.onnx"), tmp_path / "out"
    out.mkdir()
    outputs = {"logits": np.random.default_rng(0).normal(size=(4, 5))}
    write_parity(out, [compare("bad.onnx", outputs, outputs)])
    words = ["compare", saved[0], path, "--data", saved[1], "--out", out]
    assert exit_status(*words) == 1
    entries = json.loads((out / "parity.json").read_text())["entries"]
    assert [e["artefact"] for e in entries] == ["bad.onnx"]


def test_an_impossible_report_is_told_before_the_work(saved, tmp_path, capsys):
    path = write_artefact(tmp_path / "good.onnx")
    # The network would be looked for next.
    words = ["compare", tmp_path / "none", path, "--out", path / "report"]
    assert exit_status(*words) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "report: cannot be made" in told and "none" not in told


def test_served_models_are_called_as_exports_call_them(tmp_path):
    names = comparison.artefact_names([tmp_path / "actions" / "2"])
    assert names == ["actions/2"]
    names = comparison.artefact_names([tmp_path / "a" / "1", tmp_path / "b" / "1"])
    assert names == ["a/1", "b/1"]


def test_few_clips_are_a_weak_proof(saved, runtime, tmp_path, capsys):
    runtime(tiny_network())
    path = write_artefact(tmp_path / "good.onnx")
    words = ["compare", saved[0], path, "--data", saved[1], "--clips", "3"]
    assert exit_status(*words) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "runtime 1, 3 clips, a weak proof (fewer than 32)" in told


def test_a_split_without_accuracy_is_bad_usage(saved, tmp_path, capsys):
    words = ["compare", saved[0], tmp_path / "a.onnx", "--split", "test"]
    assert exit_status(*words) == 2
    assert "--split is for --accuracy" in capsys.readouterr().err
