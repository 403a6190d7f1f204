import argparse
import json

import pytest

from keras_dynamonet.cli import demo
from keras_dynamonet.cli.demo_settings import QUICK, DemoFolder, DemoSettings
from keras_dynamonet.training.interruption import TrainingInterrupted

SUMMARY = {
    "quick": True,
    "video_accuracy": 0.875,
    "video_accuracy_interval": [0.64, 0.965],
    "test_videos": 16,
    "order_blind_ceiling": 0.5,
    "psnr_copy_last": {"observed": 23.0, "unseen": 22.0},
    "psnr_model": {"observed": 24.5, "unseen": 22.75},
    "psnr_ceiling": {"observed": 25.0, "unseen": 24.0},
    "wall_seconds": 125.0,
    "peak_rss_gib": None,
    "report": "runs/demo/report.html",
}


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    demo.add_parser(parser.add_subparsers())
    return parser.parse_args(["demo", *words])


def test_flags_change_the_settings(capsys):
    assert demo.demo_settings(parse()) == DemoSettings()
    assert demo.demo_settings(parse("--quick")) == QUICK
    changed = demo.demo_settings(
        parse("--seed", "3", "--epochs", "5", "--clips-per-class", "7", "--quick")
    )
    assert (changed.seed, changed.epochs, changed.train_clips) == (3, 5, 7)
    assert changed.size == QUICK.size
    with pytest.raises(SystemExit, match="2"):
        parse("--epochs", "0")
    assert "argument --epochs: must be a whole number" in capsys.readouterr().err


def test_the_command_line_is_told_again():
    assert demo.command_line(parse("--json", "--overwrite")) == "dynamonet demo"
    line = demo.command_line(parse("--seed", "0", "--out", "my runs", "--quick"))
    assert line == "dynamonet demo --seed 0 --quick --out 'my runs'"


def test_a_finished_demo_is_left_alone(tmp_path, capsys):
    folder = DemoFolder(tmp_path / "demo")
    folder.open(QUICK, overwrite=False)
    folder.write_json(folder.summary, SUMMARY)
    arguments = parse("--quick", "--json", "--out", str(folder.path))
    assert demo.run(arguments) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == SUMMARY
    assert "finished" in printed.err.replace("\n", " ")


def test_the_outcome_for_people():
    text = "\n".join(demo.summary_lines(SUMMARY))
    assert text.startswith("A shortened run")
    assert "87.5 % of 16 held-out videos (64.0 % to 96.5 %)" in text
    assert "unseen: copy 22.00, model 22.75, best filter 24.00 dB" in text
    assert "2 min 5 s\n" in text
    assert "GiB" not in text
    measured = SUMMARY | {"peak_rss_gib": 2.345, "quick": False}
    lines = demo.summary_lines(measured)
    assert lines[0].startswith("accuracy")
    assert "took          2 min 5 s, 2.3 GiB" in lines


def test_a_stopped_training_says_how_to_go_on(tmp_path, monkeypatch):
    from keras_dynamonet.cli import demo_job

    def stop(*args, **kwargs):
        raise TrainingInterrupted("stopped at step 3")

    monkeypatch.setattr(demo_job, "_render", lambda settings, folder: None)
    monkeypatch.setattr(demo_job, "train", stop)
    arguments = parse("--quick", "--out", str(tmp_path / "demo"))
    arguments.verbose = False
    with pytest.raises(TrainingInterrupted, match="the same command goes on"):
        demo.run(arguments)
    progress = DemoFolder(tmp_path / "demo").read_json(tmp_path / "demo" / "demo.json")
    assert list(progress["stage_seconds"]) == [demo_job.RENDER]


@pytest.mark.slow
def test_a_quick_demo_fills_its_folder_and_goes_on_where_it_was(tmp_path, capsys):
    folder = DemoFolder(tmp_path / "demo")
    arguments = parse("--quick", "--epochs", "1", "--json", "--out", str(folder.path))
    arguments.verbose = False
    assert demo.run(arguments) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary == folder.read_json(folder.summary)
    assert summary["quick"] is True
    assert summary["order_blind_ceiling"] == 0.5
    assert summary["test_videos"] == 16
    for part in ("observed", "unseen"):
        floor, model, ceiling = (
            summary[f"psnr_{name}"][part] for name in ("copy_last", "model", "ceiling")
        )
        assert floor < ceiling
        assert model < ceiling
    assert summary["wall_seconds"] > 0
    assert len(summary["stage_seconds"]) == 4
    html = folder.report.read_text(encoding="utf-8")
    assert "shortened run" in html
    assert "bikes.mp4" in html
    assert folder.model.exists()

    # Lost its report: what is done already is not done again.
    folder.summary.unlink()
    folder.report.unlink()
    weights = (folder.training / "last.keras").stat().st_mtime_ns
    assert demo.run(arguments) == 0
    again = json.loads(capsys.readouterr().out)
    assert folder.report.exists()
    assert (folder.training / "last.keras").stat().st_mtime_ns == weights
    for name in ("video_accuracy", "psnr_model", "data_fingerprint", "stage_seconds"):
        assert again[name] == summary[name]
