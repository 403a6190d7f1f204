import errno
import json
import os
import time

import numpy as np
import pytest

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters import artefact, job
from keras_dynamonet.exporters.artefact import export_artefact
from keras_dynamonet.exporters.calibration import share_out
from keras_dynamonet.exporters.formats import Format
from keras_dynamonet.exporters.job import run_jobs
from keras_dynamonet.exporters.parity import TOLERANCES, ParityError, Tolerance
from keras_dynamonet.exporters.sidecar import sidecar_path
from keras_dynamonet.exporters.signature import make_reference
from keras_dynamonet.exporters.source import ExportSource


def export(source, target, *, run=None, write=None, format="test", **kwargs):
    return export_artefact(
        source,
        target,
        format=format,
        write=write or (lambda path: path.write_text("artefact") and {"opset": 1}),
        load=lambda path: (run or make_reference(source.model), "Keras"),
        **kwargs,
    )


def export_exactly(source, target, **kwargs):
    """As `export`, but the artefact repeats what Keras has computed already."""
    kwargs = {"run": lambda clips: source.expected, **kwargs}
    return export(source, target, batch_sizes=(len(source.clips.parity),), **kwargs)


def test_passing_artefact_has_a_sidecar(source, tmp_path):
    result = export(source, tmp_path / "new" / "model.test")
    assert result.path.read_text() == "artefact"
    assert result.parity
    document = json.loads(result.sidecar.read_text())
    assert document["class_names"] == source.model.class_names
    assert document["clip_frames"] == 4
    assert document["fps"] == 12.0
    assert document["frame_size"] == [16, 16]
    assert document["input"]["shape"] == [None, 4, 16, 16, 3]
    assert document["input"]["batch_range"] == [1, None]
    assert document["outputs"]["logits"] == [None, 5]
    assert document["normalization"]["inside_the_artefact"]
    assert document["opset"] == 1
    assert {"keras", "numpy", "python"} <= set(document["versions"])
    assert len(document["parity"]) == len(source.outputs)
    assert {p.name for p in result.path.parent.iterdir()} == {
        "model.test",
        "model.test.json",
    }


@pytest.mark.parametrize(
    ("told", "batch", "batch_range"),
    [
        ({"batch": 2}, 2, [2, 2]),
        ({"batch": None}, None, [1, None]),
        ({"engine": {"batches": (1, 2, 8)}}, None, [1, 8]),
        ({"engine": {"batches": (4, 4, 4)}}, 4, [4, 4]),
    ],
)
def test_the_sidecar_tells_the_batch(source, tmp_path, told, batch, batch_range):
    def write(path):
        path.write_text("artefact")
        return told

    result = export_exactly(source, tmp_path / "model.test", write=write)
    document = json.loads(result.sidecar.read_text())
    assert document["input"]["shape"] == [batch, 4, 16, 16, 3]
    assert document["input"]["batch_range"] == batch_range
    assert document["outputs"]["logits"] == [batch, 5]


def test_repeated_clips_are_counted_in_the_sidecar(source, tmp_path):
    clips = share_out(source.clips.parity[np.arange(36) % 5], 36, 0)
    repeated = ExportSource(source.model, clips, ("logits",))
    result = export_exactly(repeated, tmp_path / "model.test")
    assert result.parity.weak
    (entry,) = json.loads(result.sidecar.read_text())["parity"]
    assert (entry["clips"], entry["distinct_clips"], entry["weak"]) == (36, 5, True)


def test_clips_that_prove_nothing_are_told_before_any_work(source, tmp_path):
    black = share_out(np.zeros_like(source.clips.parity), 36, 0, source="dark/")
    dark = ExportSource(source.model, black, ("logits",))
    with pytest.raises(UserError, match="dark/: proves nothing: Keras itself gives"):
        export(dark, tmp_path / "model.test", write=lambda path: 1 / 0)
    assert not list(tmp_path.iterdir())


def test_failing_artefact_leaves_nothing(source, tmp_path):
    def wrong(clips):
        return {k: v * 1.5 for k, v in make_reference(source.model)(clips).items()}

    reports = []
    with pytest.raises(ParityError, match="model.test: differs from Keras and was not"):
        export(source, tmp_path / "model.test", run=wrong, on_report=reports.append)
    assert not list(tmp_path.iterdir())
    assert len(reports) == 1 and not reports[0]


@pytest.mark.parametrize("is_folder", [False, True])
def test_failing_artefact_takes_the_one_it_replaces_along(source, tmp_path, is_folder):
    def write(path):
        if not is_folder:
            return path.write_text("artefact") and {}
        path.mkdir()
        return (path / "saved_model.pb").write_bytes(b"x") and {}

    def full(path):
        raise OSError(28, "No space left on device")

    target = tmp_path / "model.test"
    kind = {"format": "saved_model" if is_folder else "test"}
    export_exactly(source, target, write=write, **kind)
    again = {**kind, "overwrite": True}
    with pytest.raises(ParityError, match="missing from the artefact"):
        export_exactly(source, target, write=write, run=lambda clips: {}, **again)
    assert not list(tmp_path.iterdir())
    export_exactly(source, target, write=write, **kind)
    with pytest.raises(UserError, match="cannot be written: No space left"):
        export_exactly(source, target, write=full, **again)
    assert not list(tmp_path.iterdir())


def test_nothing_but_the_artefact_is_removed(source, tmp_path):
    (tmp_path / "model.test.json").mkdir()
    (tmp_path / "model.test.json" / "mine").write_text("mine")
    with pytest.raises(ParityError):
        export_exactly(
            source, tmp_path / "model.test", run=lambda clips: {}, overwrite=True
        )
    assert (tmp_path / "model.test.json" / "mine").read_text() == "mine"


def test_interrupted_artefact_leaves_the_old_one(source, tmp_path):
    def interrupted(path):
        raise KeyboardInterrupt

    target = tmp_path / "model.test"
    export_exactly(source, target)
    old = sidecar_path(target).read_text()
    with pytest.raises(KeyboardInterrupt):
        export_exactly(source, target, write=interrupted, overwrite=True)
    assert target.read_text() == "artefact"
    assert sidecar_path(target).read_text() == old


def test_reports_tell_of_no_artefact_that_was_to_be_replaced(
    source, tmp_path, monkeypatch
):
    jobs = [
        (Format("test", ".test", ("float32",), __name__, "export_exactly"), "float32")
    ]

    def entries():
        done = run_jobs(source, jobs, tmp_path, overwrite=True)
        document = json.loads((tmp_path / "parity.json").read_text())
        return done, document["entries"]

    done, told = entries()
    assert done.results and all(entry["passed"] for entry in told)
    with monkeypatch.context() as patch:
        patch.setitem(TOLERANCES, "float32", Tolerance(absolute=-1.0))
        done, told = entries()
    assert len(done.errors) == 1
    assert [entry["output"] for entry in told if not entry["passed"]] == [
        "probabilities"
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"parity.json", "parity.md"}
    # One that could not be compared has no figures, whatever earlier ones had.
    for broken in ("run_in_batches", "file_sha256"):  # before and after comparing
        entries()
        with monkeypatch.context() as patch:
            patch.setattr(artefact, broken, lambda *_: 1 / 0)
            done, told = entries()
        assert "ZeroDivisionError" in done.errors[0]
        assert told == []


def test_a_report_that_fails_does_not_cost_the_other_artefacts(
    source, tmp_path, monkeypatch
):
    jobs = [
        (Format(name, f".{name}", ("float32",), __name__, "export_exactly"), "float32")
        for name in ("one", "two")
    ]
    with monkeypatch.context() as patch:
        patch.setattr(job, "write_parity", lambda *_, **__: {}["artefact"])
        done = run_jobs(source, jobs, tmp_path)
    assert [result.path.name for result in done.results] == ["model.one", "model.two"]
    assert [error.partition("parity.json: ")[2] for error in done.errors] == [
        "KeyError: 'artefact'"
    ] * 2
    (tmp_path / "parity.json").write_text('{"entries": [{"output": "logits"}]}')
    done = run_jobs(source, jobs, tmp_path, overwrite=True)
    assert (len(done.results), done.errors) == (2, ())


def test_existing_target_is_refused(source, tmp_path):
    (tmp_path / "model.test").write_text("mine")
    with pytest.raises(UserError, match="exists already. Add --overwrite to replace"):
        export(source, tmp_path / "model.test")
    assert (tmp_path / "model.test").read_text() == "mine"


def test_unwritable_target_is_a_line(source, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written: "):
        export(source, tmp_path / "file" / "model.test")


def test_disk_errors_are_a_line(source, tmp_path):
    def write(path):
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="model.test: cannot be written: No space left"):
        export(source, tmp_path / "model.test", write=write)


def test_more_outputs_can_be_compared(source, tmp_path):
    pair = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3) + 1
    with pytest.raises(ParityError, match="embed/embedding: relative difference"):
        export(
            source,
            tmp_path / "model.test",
            also_compare=lambda: {"embed/embedding": pair},
        )


def test_a_folder_that_is_no_artefact_is_never_replaced(source, tmp_path):
    run = tmp_path / "first"
    run.mkdir()
    (run / "best.keras").write_text("weeks of work")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="first: is a folder, but no SavedModel"):
            export(source, run, format="saved_model", overwrite=overwrite)
    assert (run / "best.keras").read_text() == "weeks of work"


def test_a_file_and_a_folder_do_not_replace_each_other(source, tmp_path):
    file = tmp_path / "model"
    file.write_text("mine")
    with pytest.raises(UserError, match="model: is a file, not the folder of a Saved"):
        export(source, file, format="saved_model", overwrite=True)
    assert file.read_text() == "mine"
    saved = tmp_path / "model.test"
    saved.mkdir()
    (saved / "saved_model.pb").touch()
    with pytest.raises(UserError, match="model.test: is a folder, and is not replaced"):
        export(source, saved, overwrite=True)
    assert (saved / "saved_model.pb").exists()


def test_a_link_is_not_replaced_by_a_folder(source, tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (real / "saved_model.pb").touch()
    link = tmp_path / "model"
    link.symlink_to(real, target_is_directory=True)
    with pytest.raises(UserError, match="model: is a symbolic link, and is not repl"):
        export(source, link, format="saved_model", overwrite=True)
    assert link.is_symlink() and (real / "saved_model.pb").exists()


def test_an_artefact_that_agreed_but_was_not_kept_is_not_reported(source, tmp_path):
    target = tmp_path / "model.test"

    def agree_and_fail(on_report):
        export_exactly(source, target, on_report=on_report)
        raise OSError(errno.ENOSPC, "No space left on device")

    done = job.run_job(agree_and_fail, tmp_path, target, clips_from="clips")
    assert done.errors and all(done.reports)
    assert not (tmp_path / "parity.json").exists()


def test_what_a_killed_export_left_is_removed(source, tmp_path):
    for unique, hours in (("0a1b2c3d", 7), ("4e5f6a7b", 1)):
        for name in (
            f".model.{unique}.partial.test",
            f".model.test.{unique}.partial.json",
        ):
            (tmp_path / name).write_text("half")
            then = time.time() - 3600 * hours
            os.utime(tmp_path / name, (then, then))
    export_exactly(source, tmp_path / "model.test")
    names = {path.name for path in tmp_path.iterdir()}
    # Another export may be writing the younger ones.
    partial = {".model.4e5f6a7b.partial.test", ".model.test.4e5f6a7b.partial.json"}
    assert names == {"model.test", "model.test.json", *partial}


def test_what_cannot_be_written_elsewhere_is_named(source, tmp_path):
    def fill_temporary_files(path):
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp")

    with pytest.raises(OSError, match="No space left on device: '/tmp'"):
        export(source, tmp_path / "a.test", write=fill_temporary_files)

    def fill(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="b.test: cannot be written: No space left"):
        export(source, tmp_path / "b.test", write=fill)


def test_a_file_in_the_place_of_the_sidecar_is_not_replaced(source, tmp_path):
    (tmp_path / "model.test.json").write_text("mine")
    with pytest.raises(UserError, match="model.test.json: exists already"):
        export(source, tmp_path / "model.test")
    assert (tmp_path / "model.test.json").read_text() == "mine"
