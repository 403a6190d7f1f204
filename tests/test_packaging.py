import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from keras_dynamonet.version import __version__
from tests.lowest_versions import lowest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built away from it."""
    folder = tmp_path_factory.mktemp("packaging")
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(
        ROOT / "keras_dynamonet", source / "keras_dynamonet", ignore=ignored
    )
    for name in ("tests", "train", "export"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder],
        cwd=source,
        check=True,
        capture_output=True,
    )
    [path] = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def metadata(wheel):
    [name] = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    return wheel.read(name).decode()


def test_wheel_holds_the_library_and_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"keras_dynamonet", f"keras_dynamonet-{__version__}.dist-info"}


def test_every_file_of_the_library_is_in_the_wheel(wheel):
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "keras_dynamonet").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert here - set(wheel.namelist()) == set()
    assert "keras_dynamonet/reports/templates/report.html.j2" in here


def test_licence_travels_with_the_wheel(wheel):
    assert "License-Expression: Apache-2.0" in metadata(wheel)
    [name] = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
    assert wheel.read(name) == (ROOT / "LICENSE").read_bytes()


def test_command_is_installed(wheel):
    [name] = [n for n in wheel.namelist() if n.endswith("/entry_points.txt")]
    assert "dynamonet = keras_dynamonet.cli.main:command" in wheel.read(name).decode()


def test_every_dependency_has_both_bounds(wheel):
    text = metadata(wheel)
    assert f"Version: {__version__}" in text
    assert "Requires-Python: >=3.11" in text
    requirements = re.findall(r"^Requires-Dist: (.*)$", text, re.MULTILINE)
    assert len(requirements) > 10
    tools = ("setuptools",)
    for requirement in requirements:
        specifier = requirement.split(";")[0]
        assert ">=" in specifier, requirement
        assert "<" in specifier or specifier.startswith(tools), requirement


def test_lower_bounds_become_constraints():
    assert lowest("av<20,>=18.1") == "av==18.1"
    assert lowest("tensorflow-io>=0.37,<0.38; extra == 'io'") == "tensorflow-io==0.37"


def test_extras_are_those_that_the_messages_name(wheel):
    """Every extra that the code tells a user to install exists."""
    known = set(re.findall(r"^Provides-Extra: (.*)$", metadata(wheel), re.MULTILINE))
    named = set()
    for path in (ROOT / "keras_dynamonet").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"keras-dynamonet\[([a-z-]+)\]", text))
        named |= set(re.findall(r'MissingExtraError\([^)]*"([a-z-]+)"\)', text))
    assert named and named <= known
