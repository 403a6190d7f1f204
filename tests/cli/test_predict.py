import csv
import io
import json
import shutil
from types import SimpleNamespace

import pytest

from keras_dynamonet.cli.main import main
from keras_dynamonet.data.decoding import probe_video
from tests.action_videos import moving_square
from tests.video_files import write_video


@pytest.fixture(scope="module")
def run(trained_run):
    return str(trained_run.run.path)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    frames = moving_square("left", 0, num_frames=24)
    path = tmp_path_factory.mktemp("video") / "a long [walk].mp4"
    return str(write_video(path, frames, fps=12.0))


def test_whole_videos_and_folders(run, video, action_videos, capsys):
    folder = str(action_videos / "test" / "left")
    assert main(["predict", run, video, folder, "--top", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["protocol"] == "the middle clip of a video, centre crop"
    paths = [entry["path"] for entry in document["videos"]]
    assert paths == [video, f"{folder}/0.mp4", f"{folder}/1.mp4"]
    for entry in document["videos"]:
        first, second = entry["top"]
        assert first["probability"] >= second["probability"]
        assert first["action"] in ("down", "left", "right")


def test_a_bad_video_is_named_and_the_others_are_predicted(
    run, video, tmp_path, capsys
):
    (tmp_path / "bad.mp4").write_bytes(b"")
    assert main(["predict", run, str(tmp_path / "bad.mp4"), video]) == 1
    captured = capsys.readouterr()
    assert "cannot be read: " in captured.out
    assert captured.out.count(" %") == 3
    assert captured.err.endswith("1 of 2 videos were not read.\n")


def test_timeline_with_csv_and_annotated_video(run, video, tmp_path, capsys):
    argv = ["predict", run, video, "--csv", str(tmp_path / "out.csv")]
    argv += ["--annotate", str(tmp_path / "out.mp4"), "--hop", "0.5"]
    assert main(argv) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == video
    assert "0:00.0" in captured.out and "0:01.9" in captured.out
    with (tmp_path / "out.csv").open() as file:
        starts = [row["start_seconds"] for row in csv.DictReader(file)]
    assert starts == ["0.000", "0.500", "1.000", "1.500", "1.667"]
    assert probe_video(tmp_path / "out.mp4").num_frames == 24


def test_timeline_as_json(run, video, capsys):
    assert main(["predict", run, video, "--timeline", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    [entry] = document["videos"]
    assert len(entry["moments"]) == 11
    assert sum(entry["moments"][0]["probabilities"]) == pytest.approx(1)


@pytest.mark.parametrize("as_json", [False, True])
def test_raw_frames_on_standard_input(run, capsys, monkeypatch, as_json):
    frames = moving_square("left", 0, num_frames=10)
    stdin = SimpleNamespace(buffer=io.BytesIO(frames.tobytes()))
    monkeypatch.setattr("sys.stdin", stdin)
    argv = ["predict", run, "--stdin", "32x32@12", "--top", "1"]
    assert main([*argv, "--json"] if as_json else argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    if as_json:
        document = json.loads(lines[0])
        assert (document["start_seconds"], document["end_seconds"]) == (0.0, 0.25)
    else:
        assert lines[0].startswith("0:00.0 to 0:00.2  ")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "name at least one VIDEO, or use --stdin, not both"),
        (["a.mp4", "--stdin", "2x2@1"], "name at least one VIDEO"),
        (["a.mp4", "--top", "0"], "--top must be at least 1. Received: 0"),
        (["a.mp4", "--batch-size", "0"], "--batch-size must be at least 1"),
        (["a.mp4", "--hop", "0"], "--hop must be positive"),
        (["a.mp4", "--fps", "-1"], "--fps must be positive"),
        (["a.mp4", "b.mp4", "--annotate", "o.mp4"], "--annotate takes a single VIDEO"),
        (["a.mp4", "--timeline", "--clips", "2"], "judge whole videos; use --hop"),
        (["--stdin", "2x2@1", "--timeline"], "--stdin prints as it reads"),
        (["--stdin", "2x2"], "--stdin must look like 640x480@25"),
        (["none.mp4"], "none.mp4: no such file"),
        (["none.mp4", "--timeline"], "none.mp4: no such file"),
    ],
)
def test_mistakes_are_one_line(run, argv, message, capsys):
    assert main(["predict", run, *argv]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("dynamonet: error: ") and message in captured.err
    assert captured.out == ""


def test_a_model_of_frames_alone_knows_no_actions(trained_run, video, tmp_path, capsys):
    import keras

    from keras_dynamonet import load_model

    config = load_model(trained_run.run.best).get_config()
    model = type(load_model(trained_run.run.best)).from_config(
        {**config, "class_names": None, "num_classes": 1}
    )
    model.save(tmp_path / "frames.keras")
    keras.backend.clear_session()
    assert main(["predict", str(tmp_path / "frames.keras"), video]) == 1
    assert "knows no actions" in capsys.readouterr().err


def test_broken_model_is_one_line(video, tmp_path, capsys):
    broken = tmp_path / "best.keras"
    broken.write_bytes(b"")
    assert main(["predict", str(broken), video]) == 1
    shutil.rmtree(tmp_path)
    assert main(["predict", str(broken), video]) == 1
    assert capsys.readouterr().err.count("dynamonet: error:") == 2
