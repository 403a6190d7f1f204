import os
import stat
import tempfile
from pathlib import Path

import pytest

from keras_dynamonet.data import cache_folder as module
from keras_dynamonet.data.cache_folder import cache_folder
from keras_dynamonet.errors import UserError


@pytest.fixture(autouse=True)
def computer(tmp_path, monkeypatch):
    """A home and a folder of temporary files; nothing configured."""
    for name in ("KERAS_DYNAMONET_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    module._temporary_folder.cache_clear()
    yield
    module._temporary_folder.cache_clear()


@pytest.fixture
def may_not_write(monkeypatch):
    """Says of a folder that it may not be written; root may write anywhere."""
    shut = []
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) not in shut and real(path, mode)
    )
    return shut.append


def test_the_folder_of_the_user(tmp_path):
    assert cache_folder() == tmp_path / "home" / ".cache" / "keras-dynamonet"


def test_the_cache_folder_of_the_desktop(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "scratch"))
    assert cache_folder() == tmp_path / "scratch" / "keras-dynamonet"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / "home" / ".cache" / "keras-dynamonet"


def test_a_chosen_folder_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "scratch"))
    monkeypatch.setenv("KERAS_DYNAMONET_CACHE", str(tmp_path / "chosen"))
    assert cache_folder() == tmp_path / "chosen"


def test_a_home_that_cannot_be_written(tmp_path, may_not_write, caplog):
    """As in a container that runs as somebody else: `HOME=/`."""
    may_not_write(tmp_path / "home")
    folder = cache_folder()
    assert folder.parent == tmp_path / "tmp"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "instead of" in caplog.text and "KERAS_DYNAMONET_CACHE" in caplog.text
    caplog.clear()
    assert cache_folder() == folder
    assert not caplog.text  # once is enough


def test_what_is_there_is_read_where_nothing_can_be_written(tmp_path, may_not_write):
    wanted = tmp_path / "home" / ".cache" / "keras-dynamonet"
    wanted.mkdir(parents=True)
    may_not_write(wanted)
    assert cache_folder() == wanted


def test_a_user_without_a_home(tmp_path, monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    assert cache_folder().parent == tmp_path / "tmp"


@pytest.mark.parametrize("trap", ["link", "file"])
def test_a_temporary_folder_of_somebody_else(tmp_path, may_not_write, trap):
    may_not_write(tmp_path / "home")
    folder = cache_folder()
    module._temporary_folder.cache_clear()
    folder.rmdir()
    if trap == "link":
        folder.symlink_to(tmp_path / "home")
    else:
        folder.touch()
    with pytest.raises(UserError, match="Set KERAS_DYNAMONET_CACHE to a folder of"):
        cache_folder()
