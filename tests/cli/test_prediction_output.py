import csv

import numpy as np
import pytest

from keras_dynamonet.cli.prediction_output import (
    Timeline,
    classes_json,
    format_clock,
    show_timelines,
    show_videos,
    timelines_json,
    write_timelines_csv,
)
from keras_dynamonet.training.prediction import Moment

NAMES = ["walk", "run"]
TIMELINES = [
    Timeline(
        "a [1].mp4",
        [
            Moment(0.0, 2.0, np.array([0.75, 0.25])),
            Moment(1.0, 3.0, np.array([0.4, 0.6])),
        ],
    )
]


def test_videos_are_shown_with_bars(capsys):
    rows = classes_json([("walk", 0.5), ("run", 0.01)])
    show_videos([{"path": "a [1].mp4", "top": rows}, {"path": "b", "error": "empty"}])
    assert capsys.readouterr().out.splitlines() == [
        "a [1].mp4",
        "  walk   50.0 %  ██████████",
        "  run     1.0 %",
        "b",
        "  cannot be read: empty",
    ]


def test_timelines_are_shown_as_segments(capsys):
    show_timelines(TIMELINES, NAMES)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "a [1].mp4"
    assert lines[2].split() == ["0:00.0", "0:01.5", "walk", "75", "%"]
    assert lines[3].split() == ["0:01.5", "0:03.0", "run", "60", "%"]


def test_csv_has_a_row_for_each_moment(tmp_path):
    write_timelines_csv(tmp_path / "out.csv", TIMELINES, NAMES)
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "path": "a [1].mp4",
        "start_seconds": "1.000",
        "end_seconds": "3.000",
        "action": "run",
        "walk": "0.400000",
        "run": "0.600000",
    }


def test_json_holds_every_moment():
    document = timelines_json(TIMELINES, NAMES)
    assert document["class_names"] == NAMES
    [video] = document["videos"]
    assert video["moments"][0] == {
        "start_seconds": 0.0,
        "end_seconds": 2.0,
        "probabilities": [0.75, 0.25],
    }


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00.0"), (59.96, "1:00.0"), (3661.2, "61:01.2")]
)
def test_clock(seconds, text):
    assert format_clock(seconds) == text
