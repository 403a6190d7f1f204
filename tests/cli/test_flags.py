import argparse
import re

import pytest

from keras_dynamonet.cli.flags import add_setting_flags, given_settings
from keras_dynamonet.training.config import TrainConfig


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser()
    add_setting_flags(parser, TrainConfig, leave_out=["unlabelled"])
    return parser


def test_only_flags_that_are_given_count(parser):
    arguments = parser.parse_args(["--epochs", "3", "--no-flip", "--scales", "1", ".5"])
    assert given_settings(arguments) == {
        "epochs": 3,
        "flip": False,
        "scales": [1.0, 0.5],
    }
    assert given_settings(parser.parse_args([])) == {}


def test_help_shows_text_and_default_of_each_setting(parser):
    text = " ".join(parser.format_help().split())
    assert "--epochs N passes over the training videos (default: 30)" in text
    assert "crop, flip and jitter clips (default: on)" in text
    assert "(default: 1.0 0.84 0.71 0.59 0.5)" in text
    assert "steps between checkpoints; default: every epoch" in text
    assert "--init RUN" in text
    assert "optimisation:" in text


def test_left_out_and_file_only_settings_have_no_flag(parser):
    text = parser.format_help()
    for flag in ("--unlabelled", "--model", "--task", "--data", "--run-dir"):
        assert not re.search(rf"{flag}(?![\w-])", text)


def test_wrong_values_are_refused(parser, capsys):
    for argv in (["--epochs", "x"], ["--optimizer", "lion"]):
        with pytest.raises(SystemExit, match="2"):
            parser.parse_args(argv)
