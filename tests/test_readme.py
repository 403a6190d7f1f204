"""The Python examples of README run as they stand."""

import re
from pathlib import Path

import pytest

from tests.video_files import numbered_frames, write_video

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)


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
