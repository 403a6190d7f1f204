import json
import shutil
from pathlib import Path

import pytest

from keras_dynamonet.cli.evaluate import _default_folder
from keras_dynamonet.cli.main import main
from keras_dynamonet.training.trained_model import load_trained_model
from tests.cli.command import exit_status


def test_evaluation_from_the_command_line(trained_run, action_videos, tmp_path, capsys):
    run = shutil.copytree(trained_run.run.path, tmp_path / "run")
    assert main(["evaluate", str(run), str(action_videos), "--clips", "2"]) == 0
    captured = capsys.readouterr()
    assert "6 videos; mean softmax of 2 clips x 1 crops a video" in captured.out
    for row in ("videos", "single clips", "down", "left", "right", "unseen"):
        assert f"\n{row} " in captured.out
    assert "split test: 3 classes, 6 videos" in captured.err
    names = {path.name for path in (run / "evaluation").iterdir()}
    assert names == {
        "model_card.md",
        "model_card.json",
        "predictions.csv",
        "report.html",
    }
    page = (run / "evaluation" / "report.html").read_text()
    assert "How it learnt" in page and "down" in page


def test_json_is_the_card(trained_run, action_videos, tmp_path, capsys):
    argv = ["evaluate", str(trained_run.run.best), str(action_videos)]
    argv += ["--split", "train", "--frame-clips", "0", "--out", str(tmp_path), "--json"]
    assert main(argv) == 0
    captured = capsys.readouterr()
    assert "warning: the model was trained on 12 of these 12 videos" in captured.err
    card = json.loads(captured.out)
    assert card["evaluation"]["videos"] == 12
    assert card["evaluation"]["frame_psnr_db"] is None
    assert card == json.loads((tmp_path / "model_card.json").read_text())
    page = (tmp_path / "report.html").read_text()
    assert "12 videos, 12 of which it was trained on" in page
    assert "held-out" not in page


def test_file_of_its_own_gets_a_folder_beside_it(trained_run, action_videos, tmp_path):
    file = shutil.copy(trained_run.run.best, tmp_path / "model.keras")
    argv = ["evaluate", str(file), str(action_videos), "--frame-clips", "0"]
    assert main(argv) == 0
    assert (tmp_path / "model_evaluation" / "model_card.md").exists()


def test_mistakes_are_one_line(trained_run, action_videos, tmp_path, capsys):
    run, data = str(trained_run.run.path), str(action_videos)
    for argv, message in (
        ([str(tmp_path), data], "holds no trained model"),
        ([run, str(tmp_path / "none")], "none"),
        ([run, data, "--split", "other"], "has no split 'other'"),
    ):
        assert main(["evaluate", *argv]) == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("dynamonet: error: ") and message in last


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--clips", 0),
        ("--batch-size", 0),
        ("--frame-clips", -1),
        ("--max-bad-share", 2),
    ],
)
def test_senseless_numbers_are_bad_usage(flag, value, capsys):
    assert exit_status("evaluate", "run", "data", flag, value) == 2
    assert f"error: argument {flag}: must" in capsys.readouterr().err


def test_nothing_is_written_into_the_package():
    trained = load_trained_model("mocap25-nano")
    assert _default_folder(trained) == Path("mocap25-nano_evaluation")
