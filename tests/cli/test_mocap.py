import argparse
import json

import pytest

from keras_dynamonet.cli import mocap
from keras_dynamonet.errors import UserError


def parse(*arguments):
    parser = argparse.ArgumentParser()
    mocap.add_parser(parser.add_subparsers())
    return parser.parse_args(["mocap", *map(str, arguments)])


def test_renders_what_is_asked_for(tmp_path, capsys):
    arguments = [tmp_path / "out", "--classes", "kick", "--track", "native"]
    arguments += ["--train", 1, "--validation", 0, "--test", 1, "--size", 16]
    arguments += ["--frames", 3, "--fps", 10, "--camera", "shaking", "--json"]
    args = parse(*arguments, "--processes", 1, "--seed", 5)
    assert args.run(args) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["clips"] == 2
    assert summary["classes"] == ["kick"]
    document = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert summary["fingerprint"] == document["fingerprint"]
    assert document["parameters"] == {
        "size": 16,
        "num_frames": 3,
        "fps": 10.0,
        "camera": "shaking",
        "seed": 5,
    }
    assert (tmp_path / "out" / "train" / "kick" / "clip_000.mp4").is_file()

    args.json = False
    assert args.run(args) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "2 clips of 1 classes" in captured.err


def test_mistakes_are_user_errors(tmp_path):
    args = parse(tmp_path / "out", "--classes", "hopscotch")
    with pytest.raises(UserError, match="Track 'time' has no class 'hopscotch'"):
        args.run(args)
