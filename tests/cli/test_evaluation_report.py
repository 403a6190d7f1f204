from dataclasses import replace

import numpy as np
import pytest

from keras_dynamonet.cli.evaluation_report import columns, evaluation_report
from keras_dynamonet.reports import render_html
from keras_dynamonet.training.evaluation import (
    Classification,
    EvaluationResult,
    Protocol,
)
from keras_dynamonet.training.frame_quality import FrameBounds, FrameQuality
from keras_dynamonet.training.scores import Accuracy


@pytest.fixture
def result():
    return EvaluationResult(
        class_names=["jump", "run"],
        protocol=Protocol(num_clips=10, num_crops=3),
        classification=Classification(
            clip_accuracy=Accuracy(200, 300),
            video_accuracy=Accuracy(7, 10),
            top5_accuracy=Accuracy(10, 10),
            per_class=[Accuracy(3, 5), Accuracy(4, 5)],
            confusion=np.array([[3, 2], [1, 4]]),
        ),
        frame_quality=FrameQuality(
            10, FrameBounds(25.0, 26.0, 27.0), FrameBounds(24.0, 24.5, 26.0)
        ),
        data_fingerprint="f" * 64,
        video_paths=[],
        labels=np.zeros(0, np.int32),
        probabilities=np.zeros((0, 2)),
        bad_files={},
    )


def test_any_evaluation_becomes_a_report(result):
    history = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.5, "val_loss": 1.75}]
    report = evaluation_report(result, title="My videos", history=history)
    assert report.classification.accuracy == 0.7
    assert report.classification.clip_accuracy == 200 / 300
    assert report.frame_prediction.unseen.gain == 0.5
    assert report.history["val_loss"] == [1.75]
    html = render_html(report)
    assert "10 clips x 3 crops" in html
    assert "order-blind" not in html


def test_parts_that_were_not_measured_are_absent(result):
    bare = replace(result, classification=None, frame_quality=None)
    report = evaluation_report(bare, title="Frames alone")
    assert report.classification is None
    assert report.frame_prediction is None
    render_html(report)


def test_a_single_view_has_no_clip_accuracy_of_its_own(result):
    report = evaluation_report(replace(result, protocol=Protocol()), title="One view")
    assert report.classification.clip_accuracy is None


def test_clips_of_one_frame_have_nothing_observed(result):
    quality = replace(result.frame_quality, observed=None)
    report = evaluation_report(replace(result, frame_quality=quality), title="Short")
    assert report.frame_prediction.observed is None
    assert "Next frame, unseen" in render_html(report)


def test_without_a_ceiling_none_is_mentioned(result):
    assert "ceiling" in render_html(evaluation_report(result, title="One filter"))
    bounds = FrameBounds(24.0, 24.5)
    quality = replace(result.frame_quality, observed=bounds, unseen=bounds)
    report = evaluation_report(replace(result, frame_quality=quality), title="Segments")
    body = render_html(report).split("<body")[1]
    assert "24.5\xa0dB" in body
    assert "ceiling" not in body and "best filter" not in body


def test_columns_keep_values_that_start_late():
    assert columns([{"a": 1.0}, {"a": 2.0, "b": 3.0}]) == {"a": [1.0, 2.0], "b": [3.0]}
    assert columns([]) == {}
