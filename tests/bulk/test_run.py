import json
import os
import shutil

import numpy as np
import pytest

from keras_dynamonet.bulk.job import BulkJob
from keras_dynamonet.bulk.output import open_output
from keras_dynamonet.bulk.run import run_bulk
from keras_dynamonet.cli.main import main
from keras_dynamonet.data.manifest import load_manifest
from keras_dynamonet.errors import MissingExtraError, UserError
from keras_dynamonet.training.prediction import predict_videos
from keras_dynamonet.training.trained_model import load_trained_model

pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def videos(action_videos, tmp_path_factory):
    """Eighteen sound videos, one broken one in their middle."""
    folder = tmp_path_factory.mktemp("bulk") / "videos"
    for path in sorted(action_videos.rglob("*.mp4")):
        name = "-".join(path.relative_to(action_videos).parts)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(path.read_bytes())
    (folder / "train-broken.mp4").write_bytes(b"not a video")
    return folder


@pytest.fixture(scope="module")
def manifest(videos):
    return load_manifest(videos, labelled=False)


@pytest.fixture(scope="module")
def job(trained_run):
    return BulkJob(model=str(trained_run.run.path), part_size=8, batch_size=4, top=2)


@pytest.fixture(scope="module")
def finished(job, manifest, tmp_path_factory):
    """Folder and summary of a whole job."""
    out = tmp_path_factory.mktemp("bulk") / "out"
    return out, run_bulk(job, manifest, out)


def test_every_video_has_one_row_in_the_order_of_the_list(finished, manifest):
    out, summary = finished
    rows = pq.read_table(out).to_pylist()
    assert [row["path"] for row in rows] == [
        manifest.path(i) for i in range(len(manifest))
    ]
    assert (summary.videos, summary.ok, summary.bad) == (25, 24, 1)
    assert (summary.parts, summary.skipped_parts, summary.workers) == (4, 0, 1)
    assert json.loads((out / "_summary.json").read_text())["ok"] == 24


def test_a_bad_video_is_a_row_with_a_reason(finished):
    rows = pq.read_table(finished[0]).to_pylist()
    [bad] = [row for row in rows if row["status"] != "ok"]
    assert bad["path"].endswith("train-broken.mp4") and bad["status"] == "bad"
    assert "not a readable video" in bad["error"]
    assert bad["top"] is None and bad["embedding"] is None and bad["dmr"] is None


def test_rows_hold_what_the_model_says(finished, trained_run):
    trained = load_trained_model(trained_run.run.path)
    row = pq.read_table(finished[0]).to_pylist()[0]
    [prediction] = predict_videos(trained, [row["path"]])
    best = int(np.argmax(prediction.probabilities))
    assert row["top"][0]["action"] == trained.class_names[best]
    assert row["top"][0]["probability"] == pytest.approx(
        prediction.probabilities[best], abs=1e-5
    )
    assert len(row["top"]) == 2 and row["error"] is None
    feature_size = trained.model.backbone.output["feature"].shape[-1]
    assert len(row["embedding"]) == feature_size
    assert len(row["dmr"]) == 4 * 3 * 3
    assert np.isfinite(row["embedding"]).all() and np.isfinite(row["dmr"]).all()


def test_a_second_run_writes_only_what_is_missing(job, manifest, finished, tmp_path):
    out = tmp_path / "out"
    parts = []

    def stop_after_two(part):
        parts.append(part)
        if len(parts) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_bulk(job, manifest, out, on_part=stop_after_two)
    (out / ".part-000002.1.partial.parquet").write_bytes(b"cut short")
    kept = (out / "part-000001.parquet").read_bytes()
    calls = []
    summary = run_bulk(
        job, manifest, out, progress=lambda done, total: calls.append((done, total))
    )
    assert (summary.skipped_parts, summary.videos) == (2, 25)
    assert calls == [(24, 25), (25, 25)]
    assert (out / "part-000001.parquet").read_bytes() == kept
    assert pq.read_table(out).equals(pq.read_table(finished[0]))
    assert not list(out.glob(".*"))
    assert run_bulk(job, manifest, out).skipped_parts == 4


def test_another_job_does_not_mix_in(finished, job, manifest, trained_run, tmp_path):
    out = finished[0]
    other = BulkJob(model=job.model, part_size=8, batch_size=4, top=1)
    with pytest.raises(UserError, match="output of another job .it differs in top"):
        run_bulk(other, manifest, out)
    with pytest.raises(UserError, match="differs in data_fingerprint, videos"):
        run_bulk(job, manifest.subset([0, 1]), out)
    few = tmp_path / "few"
    run_bulk(job, manifest.subset([0, 1]), few)
    summary = run_bulk(other, manifest.subset([0]), few, overwrite=True)
    assert summary.videos == len(pq.read_table(few)) == 1


def test_a_folder_with_other_files_is_left_alone(job, manifest, tmp_path):
    (tmp_path / "diary.txt").write_text("dear diary")
    with pytest.raises(UserError, match="holds files that are no output"):
        run_bulk(job, manifest, tmp_path, overwrite=True)
    assert (tmp_path / "diary.txt").exists()


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"name": "of others"}', "\xff"])
def test_a_folder_of_another_program_is_left_alone(text, job, manifest, tmp_path):
    (tmp_path / "_job.json").write_text(text, encoding="latin-1")
    (tmp_path / "part-000000.parquet").touch()
    with pytest.raises(UserError, match="holds files that are no output"):
        run_bulk(job, manifest, tmp_path, overwrite=True)
    assert len(list(tmp_path.iterdir())) == 2


def test_overwriting_leaves_the_files_of_others(tmp_path, caplog):
    job = {"data_fingerprint": "d", "top": 1}
    open_output(tmp_path, job, overwrite=False)
    written = ("part-000000.parquet", ".part-000001.1.partial.parquet", "_summary.json")
    for name in (*written, "best.keras", "list.csv", "part-000000.mine.parquet"):
        (tmp_path / name).touch()
    (tmp_path / "videos").mkdir()
    open_output(tmp_path, {**job, "top": 2}, overwrite=True)
    kept = ["best.keras", "list.csv", "part-000000.mine.parquet", "videos"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_job.json", *kept]
    assert json.loads((tmp_path / "_job.json").read_text()) == {**job, "top": 2}
    assert f"{tmp_path}: kept what is no job's: {', '.join(kept)}" in caplog.text


def test_nothing_is_replaced_before_the_job_can_be_done(job, manifest, tmp_path):
    out, few = tmp_path / "out", manifest.subset([0])
    run_bulk(job, few, out)
    before = {path: path.read_bytes() for path in out.iterdir()}
    (tmp_path / "broken.keras").write_bytes(b"no network")
    broken = BulkJob(model=str(tmp_path / "broken.keras"))
    with pytest.raises(UserError, match="broken.keras"):
        run_bulk(broken, few, out, overwrite=True)
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_names_that_are_no_utf_8_are_rows(videos, job, tmp_path):
    name = os.fsdecode(b"caf\xe9.mp4")
    shutil.copy(videos / "train-left-0.mp4", tmp_path / name)
    manifest = load_manifest(tmp_path, labelled=False)
    run_bulk(job, manifest, tmp_path / "out")
    rows = pq.read_table(tmp_path / "out").to_pylist()
    assert [row["path"] for row in rows] == [f"{tmp_path}/caf\\xe9.mp4"]
    assert [row["status"] for row in rows] == ["ok"]


def test_lost_files_are_noticed(job, manifest, tmp_path):
    few, out = manifest.subset(range(9)), tmp_path / "out"

    def lose_the_first(part):
        (out / "part-000000.parquet").unlink(missing_ok=True)

    with pytest.raises(UserError, match="has 1 rows for 9 videos. Run the same"):
        run_bulk(job, few, out, on_part=lose_the_first)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engine": "spark"}, "`engine` must be one of local, ray"),
        ({"workers": 0}, "`workers` must be at least 1. Received: 0"),
        ({"threads": 0}, "`threads` must be at least 1. Received: 0"),
        ({"workers": 2}, "the local engine is one process"),
    ],
)
def test_wrong_arguments(job, manifest, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        run_bulk(job, manifest, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_the_output_lies_on_this_machine(job, manifest):
    with pytest.raises(UserError, match="s3://bucket/out: is an address; results are"):
        run_bulk(job, manifest, "s3://bucket/out")


def test_sizes_start_at_one():
    with pytest.raises(UserError, match="`part_size` must be at least 1. Received: 0"):
        BulkJob(model="run", part_size=0)


def test_pyarrow_is_an_extra(job, manifest, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"keras-dynamonet\[parquet\]"):
        run_bulk(job, manifest, tmp_path / "out")


def test_the_programs(trained_run, videos, tmp_path, capsys):
    run, out = str(trained_run.run.path), str(tmp_path / "out")
    assert main(["embed", run, str(videos), "--out", out, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["bad"] == 1
    assert "s with 1 workers." in captured.err
    few = tmp_path / "few.txt"
    few.write_text("train-left-0.mp4\nno-such-file.mp4\n")
    argv = ["predict", run, str(few), "--video-root", str(videos), "--top", "1"]
    assert main([*argv, "--out", str(tmp_path / "actions")]) == 0
    assert "2 videos in 1 files, 1 could not be read" in capsys.readouterr().out
    table = pq.read_table(tmp_path / "actions")
    assert table.column_names == ["path", "top", "status", "error"]
    assert table.column("error").to_pylist() == [None, "no such file"]


def test_flags_of_long_lists_need_an_output(capsys):
    assert main(["predict", "run", "a.mp4", "--engine", "ray", "--workers", "2"]) == 2
    assert "--engine, --workers: only with --out DIR" in capsys.readouterr().err
    assert main(["predict", "run", "a.mp4", "b.mp4", "--out", "x"]) == 2
    assert "--out takes one folder or list" in capsys.readouterr().err
