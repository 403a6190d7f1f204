import json
import subprocess
import sys

from keras_dynamonet.cli.main import main
from tests.video_files import numbered_frames, write_video


def make_data(root):
    root.mkdir(exist_ok=True)
    for k in range(3):
        (root / "walk").mkdir(exist_ok=True)
        write_video(root / "walk" / f"{k}.mp4", numbered_frames(6))
    return root


def test_pack_and_scan(tmp_path, capsys):
    data, out = str(make_data(tmp_path / "data")), str(tmp_path / "out")
    arguments = ["pack", data, out, "--fps", "5", "--workers", "1", "--json"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["videos"] == 3 and document["bad"] == {}
    assert "read as a folder of class folders; videos: 3" in captured.err
    assert "videos: 3, shards: 1, left out: 0" in captured.err
    assert main(["scan", out]) == 0
    assert "3 of 3 videos can be read" in capsys.readouterr().err


def test_several_processes_write_nothing_but_the_messages(tmp_path):
    data, out = make_data(tmp_path / "data"), tmp_path / "out"
    words = ["pack", data, out, "--workers", "2", "--videos-per-shard", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "keras_dynamonet.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    read, written = done.stderr.splitlines()
    assert read.endswith("videos: 3")
    assert "videos: 3, shards: 3, left out: 0" in written


def test_videos_left_out_are_listed(tmp_path, capsys):
    data = make_data(tmp_path / "data")
    (data / "walk" / "bad.mp4").touch()
    arguments = ["pack", str(data), str(tmp_path / "out"), "--workers", "1"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "walk/bad.mp4: the file is empty (0 bytes)" in captured.out
    assert "left out: 1 " in captured.err


def test_mistakes_are_one_line(tmp_path, capsys):
    data, out = str(make_data(tmp_path / "data")), str(tmp_path / "out")
    assert main(["pack", data, out, "--quality", "101"]) == 1
    assert "`quality` must lie in" in capsys.readouterr().err
    assert main(["pack", str(tmp_path / "nowhere"), out]) == 1
    assert "no such file or folder" in capsys.readouterr().err
