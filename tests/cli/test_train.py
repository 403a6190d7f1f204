import json

import pytest

from keras_dynamonet.cli.main import main, make_parser
from keras_dynamonet.cli.train import make_config
from keras_dynamonet.errors import UserError
from keras_dynamonet.training.config import TrainConfig
from tests.tiny_runs import MODEL


def config_of(*argv):
    return make_config(make_parser(argv).parse_args(argv))


def test_flags_make_the_configuration():
    config = config_of("train", "videos", "--epochs", "3", "--run", "runs/a")
    assert config == TrainConfig(data="videos", run_dir="runs/a", epochs=3)
    assert config_of("train", "videos").run_dir == "runs/train"


def test_pretraining_learns_frames():
    config = config_of("pretrain", "videos")
    assert (config.task, config.run_dir) == ("frames", "runs/pretrain")


def test_flags_have_the_last_word_over_the_file(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('data = "videos"\nepochs = 5\nseed = 7\n[model]\nkernel_size = 3\n')
    config = config_of("train", "--config", str(file), "--epochs", "6")
    assert (config.data, config.epochs, config.seed) == ("videos", 6, 7)
    assert config.model == {"kernel_size": 3}
    assert config_of("train", "other", "--config", str(file)).data == "other"


def test_file_and_flags_have_the_last_word_over_an_experiment(tmp_path):
    (tmp_path / "config.toml").write_text("batch_size = 32\n")
    config = config_of(
        *("train", "videos", "--experiment", "fine-tune-last-stage"),
        *("--config", str(tmp_path / "config.toml"), "--epochs", "7"),
    )
    assert (config.freeze, config.batch_size, config.epochs) == ("stage3", 32, 7)


def test_a_rate_of_frames_and_a_stride_replace_each_other(tmp_path):
    recipe = ("train", "videos", "--experiment", "kinetics-from-scratch")
    assert (config_of(*recipe).stride, config_of(*recipe).fps) == (1, None)
    config = config_of(*recipe, "--fps", "12")
    assert (config.stride, config.fps) == (None, 12.0)
    (tmp_path / "config.toml").write_text("fps = 10\n")
    file = ("--config", str(tmp_path / "config.toml"))
    assert config_of(*recipe, *file).fps == 10.0
    config = config_of("train", "videos", *file, "--stride", "2")
    assert (config.stride, config.fps) == (2, None)


def test_another_runs_config_does_not_lead_into_that_run(tmp_path):
    TrainConfig(data="videos", run_dir="runs/old").save(tmp_path / "config.json")
    config = config_of("train", "--config", str(tmp_path / "config.json"))
    assert config.run_dir == "runs/train"


def test_unknown_settings_of_a_file_are_refused(tmp_path):
    (tmp_path / "config.toml").write_text("epoch = 5\n")
    with pytest.raises(UserError, match="did you mean `epochs`"):
        config_of("train", "videos", "--config", str(tmp_path / "config.toml"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "no videos named"),
        (["videos", "--epochs", "0"], "`epochs` must be at least 1"),
        (["videos", "--seed", "-1"], "`seed` must lie in"),
        (["videos", "--fps", "8", "--stride", "2"], "`stride` excludes `fps`"),
    ],
)
def test_bad_usage_exits_with_2(argv, message, capsys):
    assert main(["train", *argv]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("dynamonet: error: ") and message in captured.err


def test_videos_must_be_named():
    with pytest.raises(UserError, match="no videos named: give DATA, or --resume RUN"):
        config_of("train")


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["videos"], "DATA"),
        (["--epochs", "3"], "--epochs"),
        (["--run", "runs/b"], "--run"),
        (["--config", "c.toml"], "--config"),
        (["--experiment", "kinetics-from-scratch"], "--experiment"),
        (["--overwrite"], "--overwrite"),
    ],
)
def test_resume_takes_nothing_else(argv, named, capsys):
    assert main(["train", "--resume", "runs/a", *argv]) == 2
    error = capsys.readouterr().err
    assert f"leave out {named}, or start a new run with --init runs/a" in error


def test_resume_of_nothing(tmp_path, capsys):
    assert main(["train", "--resume", str(tmp_path)]) == 1
    assert "holds no run" in capsys.readouterr().err


def test_missing_data_is_one_line(tmp_path, capsys):
    argv = ["train", str(tmp_path / "none"), "--run", str(tmp_path / "run")]
    assert main(argv) == 1
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith(f"dynamonet: error: {tmp_path}/none")
    )
    assert not (tmp_path / "run").exists()


def test_training_from_the_command_line(action_videos, tmp_path, capsys):
    """One epoch; then the finished run is resumed, which reports the same."""
    (tmp_path / "config.json").write_text(json.dumps({"model": MODEL, "size": 16}))
    argv = ["train", str(action_videos), "--run", str(tmp_path / "run")]
    argv += ["--config", str(tmp_path / "config.json"), "--num-frames", "4"]
    argv += ["--epochs", "1", "--workers", "2", "--json"]
    assert main(argv) == 0
    captured = capsys.readouterr()
    outcome = json.loads(captured.out)
    assert outcome["run"] == str(tmp_path / "run")
    assert (outcome["epochs"], outcome["steps"], outcome["bad_files"]) == (1, 1, 0)
    assert 0 <= outcome["val_accuracy"] <= 1
    assert "optimisation: epochs=1  batch_size=16" in captured.err
    assert "split train: 3 classes, 12 videos" in captured.err
    assert "epoch 1/1  loss" in captured.err

    assert main(["train", "--resume", str(tmp_path / "run")]) == 0
    captured = capsys.readouterr()
    assert "Best epoch: 1 of 1: loss" in captured.out
    assert f"Next: dynamonet evaluate {tmp_path / 'run'} DATA" in captured.out
