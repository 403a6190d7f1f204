from dataclasses import replace

import numpy as np
import pytest

from keras_dynamonet.cli import demo_report
from keras_dynamonet.cli.demo_outputs import collect_outputs, filters_of, predict_frame

NAMES = ("walk", "walk_reversed")
OPPOSITES = [(0, 1)]
FRAMES, SIZE, KERNEL = 4, 12, 3


class ShiftModel:
    """Predicts a move to the right by one pixel; names class 1 if the clip is red."""

    kernel_size = KERNEL

    def predict_on_batch(self, clips):
        frames = clips[:, :FRAMES].astype(np.float32) / 255.0
        red = frames[..., 0].mean(axis=(1, 2, 3)) > frames[..., 1].mean(axis=(1, 2, 3))
        filters = np.zeros((len(clips), FRAMES, KERNEL, KERNEL, 1), np.float32)
        filters[:, :, 1, 0] = 1.0
        return {
            "logits": np.stack([2.0 * ~red, 2.0 * red], axis=1),
            "next_frames": np.roll(frames, 1, axis=3),
            "motion_filters": filters,
        }


@pytest.fixture
def clips():
    """Two clips that move right, the second of them red; two that stand still."""
    first = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    first[..., 0] //= 2
    red = first[..., [1, 0, 2]]
    moving = [
        np.stack([np.roll(picture, t, axis=1) for t in range(FRAMES + 1)])
        for picture in (first, red)
    ]
    still = [np.stack([picture] * (FRAMES + 1)) for picture in (first, red)]
    return np.stack(moving + still)


@pytest.fixture
def outputs(clips):
    labels = np.array([0, 1, 1, 0], np.int32)
    videos = np.arange(4)
    batches = [(clips[s], labels[s], videos[s]) for s in (slice(3), slice(3, 4))]
    return collect_outputs(ShiftModel(), batches)


def test_outputs_keep_the_order_and_measure_the_gain(outputs, clips):
    np.testing.assert_array_equal(outputs.clips, clips)
    assert outputs.labels.tolist() == [0, 1, 1, 0]
    assert outputs.probabilities.argmax(axis=1).tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(outputs.probabilities.sum(axis=1), 1.0)
    assert outputs.filters.shape == (4, FRAMES, KERNEL, KERNEL)
    assert outputs.gain.shape == (4, FRAMES)
    assert (outputs.gain[:2] > 50).all()  # exact inside the rim
    assert (outputs.gain[2:] < 0).all()


def test_a_predicted_frame_has_its_bounds(clips):
    frame = predict_frame(ShiftModel(), clips[0], transition=FRAMES - 1)
    np.testing.assert_array_equal(frame.real, clips[0, -1])
    np.testing.assert_array_equal(frame.previous, clips[0, -2])
    assert frame.floor < 20
    assert frame.model > 60
    assert frame.ceiling >= frame.model - 1e-6


def test_filters_of_one_clip(clips):
    filters = filters_of(ShiftModel(), clips[0])
    assert filters.shape == (FRAMES, KERNEL, KERNEL)
    assert (filters[:, 1, 0] == 1).all()


def test_order_blind_ceiling_follows_the_counts():
    assert demo_report.order_blind_ceiling(np.array([0, 1, 0, 1]), OPPOSITES) == 0.5
    assert demo_report.order_blind_ceiling(np.array([0, 1, 1, 1]), OPPOSITES) == 0.75


def test_strips_show_observed_and_unseen_apart(outputs):
    strips = demo_report.frame_strips(ShiftModel(), outputs, NAMES, OPPOSITES)
    assert [strip.unseen for strip in strips] == [False, True]
    assert strips[0].title.startswith("walk, frame ")
    assert strips[1].title == f"walk_reversed, frame {FRAMES + 1}"
    # Of two clips the one of lower gain is the median: the one that stands still.
    np.testing.assert_array_equal(strips[1].previous, outputs.clips[2, -2])


def test_filters_of_a_clip_and_its_reversal_lie_above_each_other(outputs):
    clip, means = demo_report.filter_comparisons(
        ShiftModel(), outputs, NAMES, OPPOSITES
    )
    assert [row.backwards for row in clip.rows] == [False, True]
    assert [row.label for row in means.rows] == [
        "walk, mean of 2 videos",
        "walk_reversed, mean of 2 videos",
    ]
    np.testing.assert_allclose(means.rows[0].filters[:, 1, 0], 1.0)


def test_examples_hold_successes_and_mistakes(outputs):
    examples = demo_report.examples(outputs, NAMES, fps=12.0)
    assert [example.is_wrong for example in examples] == [False, False, True, True]
    assert {example.true_class for example in examples[2:]} == {0, 1}


def test_a_class_without_videos_is_left_out(outputs):
    lone = replace(outputs, labels=np.zeros(4, np.int32))
    model = ShiftModel()
    assert len(demo_report.frame_strips(model, lone, NAMES, OPPOSITES)) == 1
    assert demo_report.filter_comparisons(model, lone, NAMES, OPPOSITES) == []
    assert [loop.label for loop in demo_report.class_loops(lone, NAMES, 12.0)] == [
        "walk"
    ]
