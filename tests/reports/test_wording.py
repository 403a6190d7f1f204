from dataclasses import replace

import numpy as np
import pytest

from keras_dynamonet.reports import Bounds, Classification, FramePrediction, wording


def judged(right: int, videos: int) -> Classification:
    wrong = videos - right
    return Classification(
        ["a", "b"],
        np.array([[right, wrong], [0, 0]]),
        order_blind_ceiling=0.5,
        trained_on=0,
    )


@pytest.mark.parametrize(
    ("right", "claim"),
    [(90, "well above"), (55, "too few videos to be sure"), (40, "does not beat")],
)
def test_the_claim_follows_from_the_interval(right, claim):
    sentence = wording.recognition_sentence(judged(right, 100))
    assert claim in sentence
    assert f"{right}\N{NO-BREAK SPACE}% of 100 held-out videos" in sentence


@pytest.mark.parametrize(
    ("trained_on", "said"),
    [
        (0, "10 held-out videos"),
        (None, "10 videos"),
        (4, "10 videos, 4 of which it was trained on"),
    ],
)
def test_videos_are_called_held_out_only_where_they_are(trained_on, said):
    assert wording.videos(replace(judged(5, 10), trained_on=trained_on)) == said


def test_a_loss_against_copying_is_not_called_a_gain():
    prediction = FramePrediction(Bounds(26.0, 25.5, 27.0), Bounds(26.0, 26.5, 27.0))
    sentence = wording.prediction_sentence(prediction).replace("\xa0", " ")
    assert "0.50 dB worse than a plain copy of the last frame where" in sentence
    assert "0.50 dB better" in sentence
    assert wording.way_sentence(prediction.observed) == "No better than a plain copy."


def test_without_frames_there_is_no_sentence():
    assert wording.prediction_sentence(FramePrediction()) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.31, "8.3 s"), (65, "1 min 5 s"), (7260, "2 h 1 min")]
)
def test_duration(seconds, text):
    assert wording.duration(seconds) == text


def test_percent_keeps_no_idle_zeros():
    shares = [wording.percent(share)[:-2] for share in (0.875, 0.5, 1.0, 0.0, 0.3333)]
    assert shares == ["87.5", "50", "100", "0", "33.3"]
