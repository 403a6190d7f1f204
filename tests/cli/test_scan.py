import json
import os
import subprocess
import sys

import pytest

from keras_dynamonet.cli.main import main
from tests.cli.command import exit_status
from tests.video_files import numbered_frames, write_video


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path_factory, monkeypatch):
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("KERAS_DYNAMONET_CACHE", str(cache))


def make_data(root):
    (root / "walk [1]").mkdir()
    write_video(root / "walk [1]" / "good one.mp4", numbered_frames(5))
    (root / "walk [1]" / "empty.mp4").touch()
    return root


def test_scan_lists_bad_files(tmp_path, capsys):
    assert main(["scan", str(make_data(tmp_path))]) == 1
    captured = capsys.readouterr()
    assert "walk [1]/empty.mp4" in captured.out and "0 bytes" in captured.out
    assert "good one" not in captured.out
    assert "1 of 2 videos can be read, 1 cannot" in captured.err


def test_scan_json_is_one_document(tmp_path, capsys):
    assert main(["scan", str(make_data(tmp_path)), "--json", "--quick"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["videos"] == 2 and document["bad"] == 1
    bad, good = document["files"]
    assert bad["reason"] == "the file is empty (0 bytes)" and "info" not in bad
    assert good["ok"] and good["info"]["num_frames"] == 5


def test_files_are_not_probed_twice(tmp_path, capsys):
    data = str(make_data(tmp_path))
    documents = []
    for flags in ([], [], ["--quick"], ["--fresh"]):
        assert main(["scan", data, "--json", *flags]) == 1
        captured = capsys.readouterr()
        documents.append(json.loads(captured.out))
        # The other one does not open, and is tried again.
        assert ("1 known from earlier scans" in captured.err) == (
            0 < len(documents) - 1 < 3
        )
    assert [document["known"] for document in documents] == [0, 1, 1, 0]
    assert all(document["files"] == documents[0]["files"] for document in documents)


def test_scan_of_good_files_succeeds(tmp_path, capsys):
    path = write_video(tmp_path / "a.mp4", numbered_frames(5))
    assert main(["scan", str(path)]) == 0
    assert capsys.readouterr().out == ""


def test_missing_files_of_a_list_are_bad_files(tmp_path, capsys):
    (tmp_path / "list.csv").write_text("gone.mp4,walk\n")
    assert main(["scan", str(tmp_path / "list.csv"), "--json"]) == 1
    (gone,) = json.loads(capsys.readouterr().out)["files"]
    assert gone["reason"] == "no such file"


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [("utf-8:strict", b"l\xe9 \xc3\xa4.mp4"), ("ascii:strict", rb"l\udce9 \xe4.mp4")],
)
def test_any_name_can_be_printed(tmp_path, encoding, printed):
    (tmp_path / os.fsdecode(b"l\xe9 \xc3\xa4.mp4")).touch()
    done = subprocess.run(
        [sys.executable, "-m", "keras_dynamonet.cli.main", "scan", tmp_path],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 1
    line = os.fsencode(tmp_path) + b"/" + printed
    assert done.stdout == line + b": the file is empty (0 bytes)\n"


def test_scan_mistakes_are_one_line(tmp_path, capsys):
    assert main(["scan", str(tmp_path / "nowhere")]) == 1
    assert "no such file or folder" in capsys.readouterr().err
    assert exit_status("scan", make_data(tmp_path), "--workers", 0) == 2
    assert "argument --workers: must be a whole number" in capsys.readouterr().err
    assert exit_status("scan", tmp_path, "--layout", "heap") == 2
    assert "Unknown layout 'heap'" in capsys.readouterr().err
