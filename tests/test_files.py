import errno
import os

import av
import pytest

from keras_dynamonet.files import atomic_path, remove_leftovers


def test_a_file_appears_whole_in_a_new_folder(tmp_path):
    path = tmp_path / "new" / "a b.json"
    with atomic_path(path) as temporary:
        temporary.write_text("{}")
        assert (temporary.suffix, temporary.parent) == (".json", path.parent)
        assert not path.exists()
    assert [file.name for file in path.parent.iterdir()] == ["a b.json"]


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_replaces_a_folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_text("")
    with atomic_path(tmp_path / "model") as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("")
    assert [file.name for file in (tmp_path / "model").iterdir()] == ["new"]


def test_a_file_never_replaces_a_folder(tmp_path):
    """`--csv videos` by mistake must not cost the videos."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_text("")
    with pytest.raises(IsADirectoryError) as caught:
        with atomic_path(tmp_path / "videos") as temporary:
            temporary.write_text("path,label")
    assert caught.value.filename == str(tmp_path / "videos")
    assert [file.name for file in (tmp_path / "videos").iterdir()] == ["a.mp4"]
    assert len(list(tmp_path.iterdir())) == 1


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    path = tmp_path / "out.csv"
    with pytest.raises(FileNotFoundError) as caught, atomic_path(path) as temporary:
        os.rename(temporary, path)
    assert caught.value.filename == str(path)


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught:
        with atomic_path(tmp_path / "out.csv"):
            raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "out.csv")
    with pytest.raises(FileNotFoundError) as caught:
        with atomic_path(tmp_path / "out.mp4") as temporary:
            av.open(f"file:{temporary}")  # PyAV has errors of its own
    assert caught.value.filename == str(tmp_path / "out.mp4")


def test_leftovers_of_one_file_are_removed(tmp_path):
    mine = [".a[1].0a1b2c3d.partial.onnx", ".a[1].00000000.partial.onnx"]
    others = [
        ".a1.0a1b2c3d.partial.onnx",
        ".a[1].0a1b2c3d.partial.onnx.json",
        ".a[1].0a1b2c3d.partial",
        ".a[1].int8.0a1b2c3d.partial.onnx",
        "a[1].onnx",
    ]
    for name in (*mine, *others):
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path, of=tmp_path / "a[1].onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
    with atomic_path(tmp_path / "a[1].onnx") as temporary:
        temporary.write_text("")
        remove_leftovers(tmp_path, of=tmp_path / "b.onnx")
        assert temporary.exists()
        remove_leftovers(tmp_path, of=tmp_path / "a[1].onnx")
        assert not temporary.exists()
        temporary.write_text("whole")
    assert (tmp_path / "a[1].onnx").read_text() == "whole"


def test_leftovers_that_go_meanwhile_are_no_error(tmp_path, monkeypatch):
    there, gone = (tmp_path / f".a.{k}.partial.onnx" for k in ("0a1b2c3d", "4e5f6a7b"))
    there.write_text("half")
    os.utime(there, (0, 0))
    monkeypatch.setattr(type(tmp_path), "glob", lambda *_: iter([gone, there]))
    remove_leftovers(tmp_path, of=tmp_path / "a.onnx", hours=6)
    assert not there.exists()


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    (tmp_path / ".last.1.partial.keras").write_text("")
    (tmp_path / ".model.2.partial").mkdir()
    for name in ("last.keras", ".notes", "partial.txt"):
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        "last.keras",
        ".notes",
        "partial.txt",
    }
