import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from keras_dynamonet.cli.export import _default_folder
from keras_dynamonet.cli.main import main
from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters import comparison, job, saved_model, serving
from keras_dynamonet.exporters.artefact import ExportResult
from keras_dynamonet.exporters.parity import TOLERANCES, Tolerance, compare
from keras_dynamonet.exporters.parity_report import NOT_RUN
from keras_dynamonet.training.trained_model import model_file
from tests.exporters.networks import moving_clips, tiny_network
from tests.exporters.written_artefacts import write_artefact


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A `.keras` file and clips."""
    folder = tmp_path_factory.mktemp("saved")
    tiny_network().save(folder / "net.keras")
    np.save(folder / "clips.npy", moving_clips(40, 4, 16))
    return folder / "net.keras", folder / "clips.npy"


@pytest.fixture
def taken(monkeypatch):
    """Clips to compare on and to calibrate with; nothing is made of them."""
    counts = []

    def stop(source, *_, **__):
        counts.append((len(source.clips.parity), len(source.clips.calibration)))
        raise UserError("that will do")

    monkeypatch.setattr(job, "run_jobs", stop)
    monkeypatch.setattr(comparison, "compare_artefact", stop)
    return counts


SAVED_MODEL = ("--format", "saved_model")
"""The format that needs no extra."""

BAD_NAME = "use letters, digits, - and _ for the names of files"


def export(saved, *arguments):
    path, clips = saved
    return main(["export", str(path), "--data", str(clips), *map(str, arguments)])


def bad_graph(*_):
    raise UserError("a graph that no server takes")


def error(capsys):
    return " ".join(capsys.readouterr().err.split())


def test_exports_of_a_run_use_its_data(trained_run, tmp_path, capsys):
    pytest.importorskip("tf2onnx")
    arguments = ["--format", "saved_model,onnx", "--clips", "32", "--json"]
    run = str(trained_run.run.path)
    status = main(["export", run, "--out", str(tmp_path), *arguments])
    document = json.loads(capsys.readouterr().out)
    assert (status, document["errors"]) == (0, [])
    assert len(document["artefacts"]) == 2
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        *("model", "model.json", "model.onnx", "model.onnx.json"),
        *("parity.json", "parity.md"),
    }
    entries = json.loads((tmp_path / "parity.json").read_text())["entries"]
    assert {entry["clips"] for entry in entries if "/" not in entry["output"]} == {32}
    sidecar = json.loads((tmp_path / "model.onnx.json").read_text())
    assert sidecar["class_names"] == ["down", "left", "right"]
    assert len(sidecar["source"]["sha256"]) == 64
    # Once more, from the files.
    onnx = str(tmp_path / "model.onnx")
    again = ["compare", run, onnx, str(tmp_path / "model"), "--accuracy"]
    assert main([*again, "--out", str(tmp_path / "again"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    # Five outputs each, and ten of the other signatures of the SavedModel.
    assert len(document["parity"]) == 20
    assert [entry["videos"] for entry in document["accuracy"]] == [6, 6]
    assert all(e["passed"] for e in (*document["parity"], *document["accuracy"]))
    written = json.loads((tmp_path / "again" / "parity.json").read_text())
    assert written["accuracy"] == document["accuracy"]
    # Of two folders.
    (tmp_path / "copy").mkdir()
    for name in ("model.onnx", "model.onnx.json"):
        shutil.copy(tmp_path / name, tmp_path / "copy")
    both = ["compare", run, onnx, str(tmp_path / "copy" / "model.onnx"), "--json"]
    assert main([*both, "--accuracy", "--split", "validation"]) == 0
    document = json.loads(capsys.readouterr().out)
    names = [entry["artefact"] for entry in document["accuracy"]]
    assert names == ["model.onnx", "copy/model.onnx"]
    assert {entry["artefact"] for entry in document["parity"]} == set(names)


def test_failed_export_leaves_nothing_but_the_report(
    saved, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(TOLERANCES, "float32", Tolerance(absolute=-1.0))
    outputs = ["--outputs", "probabilities"]
    assert export(saved, "--format", "saved_model", "--out", tmp_path, *outputs) == 1
    assert "differs from Keras and was not kept" in error(capsys)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"parity.json", "parity.md"}
    assert "FAILED" in (tmp_path / "parity.md").read_text()


def test_serving_writes_versions(saved, tmp_path, capsys, monkeypatch):
    pytest.importorskip("tensorflow_serving")
    served = ["--serving", tmp_path / "s", "--model-name", "a", "--outputs", "logits"]
    assert export(saved, *served) == 0
    assert "s/models/a/1" in capsys.readouterr().out.replace("\n", "")
    assert (tmp_path / "s" / "parity.json").exists()
    assert (tmp_path / "s" / "models" / "a" / "1" / "saved_model.pb").exists()
    assert export(saved, *served, "--model-version", "1") == 1
    told = error(capsys)
    assert "s/models/a/1: exists already" in told
    assert "choose another --model-version or --serving DIR" in told
    monkeypatch.setattr(saved_model, "lint", bad_graph)
    assert export(saved, *served, "--model-version", "1", "--overwrite") == 1
    assert json.loads((tmp_path / "s" / "parity.json").read_text())["entries"] == []
    assert not list((tmp_path / "s" / "models" / "a").iterdir())


def test_serving_that_fails_leaves_the_other_artefacts(
    saved, tmp_path, capsys, monkeypatch
):
    pytest.importorskip("tensorflow_serving")
    made = ExportResult(tmp_path / "model", tmp_path / "model.json", None, 1, 1.0)
    done = job.JobResult((made,), (), ())
    monkeypatch.setattr(job, "run_jobs", lambda *_, **__: done)
    monkeypatch.setattr(serving, "export_saved_model", lambda *_, **__: 1 / 0)
    arguments = ["--out", tmp_path, "--serving", tmp_path / "s", "--json"]
    assert export(saved, *SAVED_MODEL, *arguments) == 1
    document = json.loads(capsys.readouterr().out)
    assert [artefact["path"] for artefact in document["artefacts"]] == [str(made.path)]
    (reason,) = document["errors"]
    assert "s/models/dynamonet/1: ZeroDivisionError: division by zero" in reason


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "onxx"], "There is no format 'onxx'"),
        (["--format", ","], "Name at least one format and one precision"),
        (["--serving", "s", "--format", ","], "Name at least one format"),
        (["--precision", "int2"], "There is no precision 'int2'"),
        (["--precision", "int8"], "saved_model comes in float32, not in int8"),
        ([*SAVED_MODEL, "--outputs", "logit"], "No output is called 'logit'"),
        ([*SAVED_MODEL, "--outputs", ","], "Name each output once, and at least one"),
        ([*SAVED_MODEL, "--opset", "18"], "--opset is for onnx only"),
        ([*SAVED_MODEL, "--calibration-clips", "8"], "is for --precision int8 alone"),
        ([*SAVED_MODEL, "--model-name", "a"], "--model-name is for --serving alone"),
        ([*SAVED_MODEL, "--model-version", "1"], "--model-version is for --serving"),
        (["--serving", "s"], "--out is for --format"),
        ([*SAVED_MODEL, "--serving", "s", "--model-name", "a b"], "use letters"),
        ([*SAVED_MODEL, "--serving", "s", "--model-name", ""], "use letters, digits"),
        ([*SAVED_MODEL, "--serving", "s", "--precision", "int8"], "comes in float32"),
        ([*SAVED_MODEL, "--name", "../model"], BAD_NAME),
        ([*SAVED_MODEL, "--name", ""], BAD_NAME),
        ([*SAVED_MODEL, "--name", "parity"], "parity.json is the name of the parity"),
        ([*SAVED_MODEL, "--name", "Parity.json"], "Parity.json is the name of the"),
        ([*SAVED_MODEL, "--name", "parity.md"], "parity.md is the name of the parity"),
    ],
)
def test_bad_usage(saved, arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert export(saved, "--out", tmp_path / "out", *arguments) == 2
    assert message in error(capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["model", "../x", ""])
def test_a_name_of_files_is_nothing_to_serving_alone(saved, name, tmp_path, capsys):
    assert export(saved, "--serving", tmp_path / "s", "--name", name) == 2
    told = "--name is for --format: --model-name names what --serving writes."
    assert told in error(capsys)
    both = [*SAVED_MODEL, "--serving", tmp_path / "s", "--out", tmp_path / "out"]
    assert export(saved, *both, "--name", "../x") == 2
    assert BAD_NAME in error(capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("runtime", "note"),
    [
        ("tensorrt_rtx 1.7", ""),
        (
            f"onnxruntime 1.23 (the engine's ONNX model; {NOT_RUN}: no GPU)",
            ", the engine has not run: its ONNX model was compared",
        ),
    ],
)
def test_engines_that_have_not_run_are_told(
    saved, runtime, note, tmp_path, capsys, monkeypatch
):
    outputs = {"logits": np.random.default_rng(0).normal(size=(40, 5))}
    report = compare("model.engine", outputs, outputs, runtime=runtime)
    sidecar = tmp_path / "model.engine.json"
    made = ExportResult(tmp_path / "model.engine", sidecar, report, 2_000_000, 3.0)
    done = job.JobResult((made,), (report,), ())
    monkeypatch.setattr(job, "run_jobs", lambda *_, **__: done)
    assert export(saved, *SAVED_MODEL, "--out", tmp_path) == 0
    told = capsys.readouterr().out
    assert f"model.engine: float32 in {runtime}, 40 clips" in told
    assert told.endswith(f"{made.path}  2.0 MB, 3 s{note}\n")


def test_nothing_is_made_of_data_that_is_not_there(saved, tmp_path, capsys):
    arguments = ["--data", "nowhere", "--out", str(tmp_path / "new" / "out")]
    assert main(["export", str(saved[0]), *SAVED_MODEL, *arguments]) == 1
    assert "nowhere" in error(capsys)
    assert not list(tmp_path.iterdir())


def test_missing_run(tmp_path, capsys):
    assert main(["export", str(tmp_path / "none")]) == 1
    assert "none: no such run's folder or .keras file" in error(capsys)
    assert not list(tmp_path.iterdir())


def test_file_without_data(saved, tmp_path, capsys):
    arguments = ["export", str(saved[0]), "--out", str(tmp_path), *SAVED_MODEL]
    assert main(arguments) == 1
    assert "no clips to compare artefacts on and to calibrate with" in error(capsys)


@pytest.mark.parametrize("command", ["export", "compare"])
def test_videos_of_a_run_that_have_moved(
    saved, command, action_videos, tmp_path, capsys, taken
):
    shutil.copy(saved[0], tmp_path / "best.keras")
    videos = [path.relative_to(action_videos) for path in action_videos.rglob("*.mp4")]
    rows = [f"{path},{path.parent.name}\n" for path in videos]
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(rows))
    settings = {"data": str(tmp_path / "list.csv"), "video_root": str(tmp_path)}
    settings |= {"run_dir": str(tmp_path), "task": "supervised"}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    artefact = write_artefact(tmp_path / "model.onnx")
    words = {"export": [*SAVED_MODEL], "compare": [str(artefact)]}[command]
    arguments = [command, str(tmp_path), *words, "--clips", "8"]
    assert main(arguments) == 1
    assert "give the right `video_root`" in error(capsys)
    assert main([*arguments, "--video-root", str(action_videos)]) == 1
    assert "that will do" in error(capsys)
    assert taken == [(8, 0)]


def test_existing_artefact(saved, tmp_path, capsys):
    (tmp_path / "model").mkdir()
    assert export(saved, "--format", "saved_model", "--out", tmp_path) == 1
    assert "is a folder, but no SavedModel, and is not replaced" in error(capsys)
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"")
    assert export(saved, "--format", "saved_model", "--out", tmp_path) == 1
    assert "exists already. Add --overwrite to replace it" in error(capsys)


def test_folder_that_is_a_file(saved, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert export(saved, "--format", "saved_model", "--out", tmp_path / "out") == 1
    assert "out: cannot be made: " in error(capsys)


def test_read_only_folder(saved, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert export(saved, "--format", "saved_model", "--out", tmp_path) == 1
    assert "cannot be written (read-only). Choose another with --out" in error(capsys)
    pytest.importorskip("tensorflow_serving")
    assert export(saved, "--serving", tmp_path / "s") == 1
    assert "cannot be written (read-only). Choose another with --serv" in error(capsys)


@pytest.mark.parametrize(
    ("precisions", "counts"), [("float32", (40, 0)), ("float32,int8", (27, 13))]
)
def test_precisions_say_how_many_clips_are_taken(
    saved, precisions, counts, taken, tmp_path
):
    arguments = ["--format", "onnx", "--precision", precisions, "--out", tmp_path]
    assert export(saved, *arguments) == 1
    assert taken == [counts]


@pytest.mark.parametrize(("precision", "count"), [("float32", 64), ("int8", 256)])
def test_compare_takes_as_many_clips_as_the_artefact_needs(
    saved, precision, count, taken, tmp_path
):
    np.save(tmp_path / "clips.npy", moving_clips(300, 4, 16))
    artefact = write_artefact(tmp_path / "model.onnx", precision)
    arguments = [saved[0], artefact, "--data", tmp_path / "clips.npy"]
    assert main(["compare", *map(str, arguments)]) == 1
    assert taken == [(count, 0)]


@pytest.mark.parametrize("count", ["0", "-1", "x"])
def test_counts_must_be_positive(saved, count, capsys):
    with pytest.raises(SystemExit) as stopped:
        export(saved, "--clips", count)
    assert stopped.value.code == 2


def test_compare_needs_artefacts_with_sidecars(saved, tmp_path, capsys):
    lonely = tmp_path / "a.onnx"
    for prepare, message in (
        (lambda: None, "a.onnx: no such artefact"),
        (lambda: lonely.write_text(""), "a.onnx: has no sidecar a.onnx.json beside it"),
        (
            lambda: (tmp_path / "a.onnx.json").write_text("{}"),
            "a.onnx.json: is not the sidecar of an artefact",
        ),
    ):
        prepare()
        assert main(["compare", str(saved[0]), str(lonely)]) == 1
        assert message in error(capsys)


@pytest.mark.parametrize("name", ["saved_model", "onnx", "tflite", "tensorrt"])
def test_scripts_are_the_program(name, tmp_path, capsys):
    import importlib

    script = importlib.import_module(f"export.to_{name}")
    assert script.main([str(tmp_path), "--precision", "int2"]) == 2
    assert "There is no precision 'int2'" in error(capsys)


def test_compare_script_is_the_program(tmp_path, capsys):
    from export.compare import main as compare

    assert compare([str(tmp_path), str(tmp_path / "none")]) == 1
    assert "none: no such artefact" in error(capsys)


def test_nothing_is_written_into_the_package():
    file = model_file("mocap25-nano")
    folder = Path("mocap25-nano_export")
    assert _default_folder(Path("mocap25-nano"), file) == folder
    assert _default_folder(file, file) == folder
    assert _default_folder(Path("run"), Path("run/best.keras")) == Path("run/export")
