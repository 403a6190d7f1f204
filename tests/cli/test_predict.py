import csv
import io
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from keras_dynamonet.cli.main import main
from keras_dynamonet.data.decoding import probe_video
from keras_dynamonet.data.layouts import read_listing
from keras_dynamonet.data.mocap.classes import TRACKS
from keras_dynamonet.data.packing import pack_videos
from keras_dynamonet.data.shard_writing import PackSettings
from tests.action_videos import moving_square
from tests.cli.command import exit_status
from tests.video_files import write_video


@pytest.fixture(scope="module")
def run(trained_run):
    return str(trained_run.run.path)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    frames = moving_square("left", 0, num_frames=24)
    path = tmp_path_factory.mktemp("video") / "a long [walk].mp4"
    return str(write_video(path, frames, fps=12.0))


def test_a_model_that_comes_with_the_package(video, capsys):
    assert main(["predict", "--preset", "mocap25-nano", video, video, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [entry["path"] for entry in document["videos"]] == [video, video]
    for entry in document["videos"]:
        assert len({best["action"] for best in entry["top"]} & set(TRACKS["all"])) == 5


def test_a_model_is_needed(capsys):
    assert exit_status("predict") == 2
    assert "name a RUN or a --preset" in capsys.readouterr().err


def test_whole_videos_and_folders(run, video, action_videos, capsys):
    folder = str(action_videos / "test" / "left")
    # Flags may stand between the words.
    assert main(["predict", run, "--top", "2", video, folder, "--json"]) == 0
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
    assert captured.err.endswith("1 of 2 videos were not read to their end.\n")


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


@pytest.fixture(scope="module")
def packed(video, tmp_path_factory):
    """A folder with that video packed."""
    out = tmp_path_factory.mktemp("packed")
    pack_videos(read_listing(video), out, PackSettings(), workers=1)
    return out


def test_timelines_of_packed_videos(run, packed, tmp_path, capsys):
    assert main(["predict", run, str(packed), "--timeline", "--json"]) == 0
    [entry] = json.loads(capsys.readouterr().out)["videos"]
    assert len(entry["moments"]) == 11 and "error" not in entry
    argv = ["predict", run, entry["path"], "--csv", str(tmp_path / "out.csv")]
    assert main([*argv, "--annotate", str(tmp_path / "out.mp4")]) == 0
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 12
    assert probe_video(tmp_path / "out.mp4").num_frames == 24


def test_a_timeline_goes_up_to_the_damage_and_the_others_are_shown(
    run, video, tmp_path, capsys
):
    frames = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), "uint8")
    damaged = write_video(tmp_path / "cut.mp4", frames, fps=12.0, key_frame_every=1)
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    damaged.write_bytes(data)
    (tmp_path / "bad.mp4").write_bytes(b"")
    argv = ["predict", run, str(damaged), str(tmp_path / "bad.mp4"), video]
    assert main([*argv, "--timeline", "--json"]) == 1
    captured = capsys.readouterr()
    assert captured.err.endswith("2 of 3 videos were not read to their end.\n")
    cut, bad, good = json.loads(captured.out)["videos"]
    assert 1 < cut["moments"][-1]["end_seconds"] < 4 and cut["error"]
    assert (bad["moments"], bad["error"]) == ([], "the file is empty (0 bytes)")
    assert len(good["moments"]) == 11 and "error" not in good
    assert main([*argv, "--timeline"]) == 1
    output = capsys.readouterr().out
    assert "ends here: " in output and "cannot be read: the file is" in output


def test_a_folder_given_for_a_file_is_kept(run, video, tmp_path, capsys):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"mine")
    assert main(["predict", run, video, "--csv", str(tmp_path / "videos")]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == f"dynamonet: error: {tmp_path}/videos: Is a directory."
    assert (tmp_path / "videos" / "a.mp4").read_bytes() == b"mine"


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
        ([], "name at least one VIDEO, or send frames with --stdin"),
        (["a.mp4", "--stdin", "2x2@1"], "--stdin takes the place of VIDEO"),
        (["a.mp4", "b.mp4", "--annotate", "o.mp4"], "--annotate takes a single VIDEO"),
        (["a.mp4", "--annotate", "o.txt"], "--annotate o.txt: must end in .mp4"),
        (["a.mp4", "--annotate", "./a.mp4"], "would replace the video itself"),
        (["a.mp4", "--csv", "a.mp4"], "--csv a.mp4: would replace the video itself"),
        (["s.tfrecord#0/a.mp4", "--csv", "s.tfrecord"], "would replace the video"),
        (["a.mp4", "--timeline", "--clips", "2"], "judge whole videos; use --hop"),
        (["a.mp4", "--timeline", "--top", "2"], "--top does not go with a timeline"),
        (["a.mp4", "--hop", "2"], "--hop is for moments: add --timeline"),
        (["--stdin", "2x2@1", "--timeline"], "--stdin prints as it reads"),
        (["--stdin", "2x2@1", "--batch-size", "2"], "without --batch-size"),
        (["--stdin", "2x2"], "--stdin must look like 640x480@25"),
    ],
)
def test_bad_usage_is_one_line_and_2(argv, message, capsys):
    assert main(["predict", "run", *argv]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("dynamonet: error: ") and message in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("flag", ["--top", "--batch-size", "--hop", "--fps"])
def test_senseless_numbers_are_bad_usage(flag, capsys):
    assert exit_status("predict", "run", "a.mp4", flag, 0) == 2
    assert f"error: argument {flag}: must be" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
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
