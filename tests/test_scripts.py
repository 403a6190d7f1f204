import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


SCRIPTS = [
    f"{folder}.{path.stem}"
    for folder in ("export", "train")
    for path in sorted((ROOT / folder).glob("[a-z]*.py"))
]


def test_there_are_scripts():
    assert {"train.train", "train.pretrain", "export.to_onnx"} <= set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_the_programs(name, capsys):
    program = "export" if ".to_" in name else name.split(".")[1]
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(name).main(["--help"])
    assert f"usage: dynamonet {program}" in capsys.readouterr().out


def test_scripts_run_from_anywhere(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "train" / "predict.py", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "name at least one VIDEO" in done.stderr
