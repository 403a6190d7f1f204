import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["train", "evaluate", "predict"])
def test_training_scripts_are_the_programs(name, capsys):
    script = importlib.import_module(f"train.{name}")
    with pytest.raises(SystemExit, match="0"):
        script.main(["--help"])
    assert f"usage: dynamonet {name}" in capsys.readouterr().out


def test_scripts_run_from_anywhere(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "train" / "predict.py", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "name at least one VIDEO" in done.stderr
