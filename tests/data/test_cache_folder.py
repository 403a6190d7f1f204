import os
import stat
import subprocess
import sys
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


@pytest.mark.parametrize("trap", ["link", "file", "open to all", "of another user"])
def test_a_temporary_folder_that_others_may_write_to(
    tmp_path, may_not_write, monkeypatch, trap
):
    may_not_write(tmp_path / "home")
    folder = cache_folder()
    module._temporary_folder.cache_clear()
    if trap == "open to all":
        folder.chmod(0o777)
    elif trap == "of another user":
        user = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: user + 1)
        folder.rename(folder.with_name(f"keras-dynamonet-{user + 1}"))
    else:
        folder.rmdir()
        if trap == "link":
            folder.symlink_to(tmp_path / "home")
        else:
            folder.touch()
    with pytest.raises(UserError, match="Set KERAS_DYNAMONET_CACHE to a folder of"):
        cache_folder()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
def test_the_home_of_another_user(tmp_path):
    """As in a container made for root that runs as somebody else."""
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.chmod(0o700)
    temporary.chmod(0o777)
    for folder in tmp_path.parents[:3]:
        if folder.stat().st_uid == 0 and folder != Path("/tmp"):
            folder.chmod(0o755)
    tmp_path.chmod(0o755)
    program = (
        "import os; os.setgid(65534); os.setuid(65534)\nprint(module.cache_folder())"
    )
    program = f"from keras_dynamonet.data import cache_folder as module\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "HOME": str(home), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(temporary / "keras-dynamonet-65534"), done.stderr
