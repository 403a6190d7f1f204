"""What README says is so: its Python examples run, its command lines are understood."""

import re
import shlex
from pathlib import Path

import pytest

from keras_dynamonet.cli.main import PROGRAMS, make_parser
from tests.video_files import numbered_frames, write_video

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)
MOCAP_README = ROOT / "keras_dynamonet" / "data" / "mocap" / "README.md"
PAGES = (README, ROOT / "BUILD_NOTES.md", MOCAP_README)


def command_lines(page):
    """Every `dynamonet ...` line of a page's code that is not cut short by dots."""
    text = page.read_text()
    lines = re.findall(r"^dynamonet .*$", text, re.M)
    lines += re.findall(r"`(dynamonet [^`]+)`", text)
    return sorted({line for line in lines if "..." not in line})


def test_there_are_examples():
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize("code", EXAMPLES, ids=["arrays", "videos"])
def test_example_runs(code, tmp_path, monkeypatch, capsys):
    for name in ("walk", "run"):
        folder = tmp_path / "videos" / name
        folder.mkdir(parents=True)
        write_video(folder / "a.mp4", numbered_frames(20), fps=12)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(README), "exec"), {})
    assert (tmp_path / "model.keras").exists() or "'logits': (8, 4)" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("page", PAGES, ids=["README", "BUILD_NOTES", "mocap"])
def test_command_lines_are_understood(page, capsys):
    assert command_lines(page)
    for line in command_lines(page):
        # A single capital letter stands for a number.
        _, *argv = shlex.split(re.sub(r"\b[A-Z]\b", "1", line), comments=True)
        if argv not in [[name] for name in PROGRAMS]:  # not just a program's name
            try:
                make_parser(argv).parse_args(argv)
            except SystemExit as stop:
                message = capsys.readouterr().err.strip()
                assert stop.code == 0, f"{page.name}: {line}\n{message}"
