import numpy as np
import pytest

from benchmarks.accuracy.imposed_motion import (
    FASTEST,
    MOTIONS,
    moving_clips,
    played_clips,
    read_motions,
)
from benchmarks.accuracy.measures import (
    frame_quality,
    knowledge,
    linear_probe,
    recalls,
    segments_in_hindsight,
)
from keras_dynamonet.metrics import psnr
from tests.layers.test_segment_solver import square_before_still_background


def test_quality_between_floor_and_ceilings():
    clip, _ = square_before_still_background(1, 2, count=4)
    clips = np.round(255 * clip).astype("uint8")
    copies = clips[:, :-1] / np.float32(255)
    numbers = frame_quality(clips, copies, kernel_size=5, segments=2)
    inner = np.s_[:, -1:, 2:-2, 2:-2]
    copied = psnr(clips[:, 1:][inner] / 255, clips[:, :-1][inner] / 255)
    unseen = {
        name: numbers[f"psnr_unseen_{name}"]
        for name in ("floor", "model", "ceiling", "segments")
    }
    np.testing.assert_allclose([unseen["floor"], unseen["model"]], copied, rtol=1e-4)
    assert unseen["floor"] < unseen["ceiling"] < unseen["segments"] - 3
    assert numbers["ssim_unseen_floor"] < numbers["ssim_unseen_segments"] <= 1
    for name, value in unseen.items():  # of one clip
        assert numbers[f"clip_psnr_unseen_{name}"] == pytest.approx(value)


def test_still_clips_have_no_part_in_the_mean_over_clips():
    moving, _ = square_before_still_background(1, 2, count=4)
    moving = np.round(255 * moving).astype("uint8")
    still = np.repeat(moving[:, :1], moving.shape[1], axis=1)
    found = [
        frame_quality(clips, clips[:, :-1] / np.float32(255), kernel_size=5)
        for clips in (moving, np.concatenate([moving, still]), still)
    ]
    key = "clip_psnr_observed_model"
    assert found[0][key] == pytest.approx(found[1][key])
    assert found[0]["psnr_observed_model"] < found[1]["psnr_observed_model"] - 2
    assert key not in found[2]


def test_hindsight_has_the_shape_of_the_inner_frames():
    clip, _ = square_before_still_background(0, 1, count=3)
    assert segments_in_hindsight(clip, 5).shape == (1, 2, 36, 36, 3)


def test_linear_probe_separates_what_is_separable():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    values = np.eye(3)[labels] + 0.1 * rng.standard_normal((90, 3))
    values = values - values.mean(axis=0)
    assert (linear_probe(values[:60], labels[:60], values[60:]) == labels[60:]).all()


def test_recall_counts_the_nearest_by_angle():
    known = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 5.0]])
    found = recalls(known, np.array([0, 1, 1]), np.array([[9.0, 0.1]]), np.array([1]))
    assert found == {1: 0.0, 5: 1.0, 10: 1.0}


def test_knowledge_weighs_both_outputs_alike():
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    outputs = {
        "informed": (labels * 1e-3)[:, None] + 1e-5 * rng.standard_normal((80, 4)),
        "noise": 1e3 * rng.standard_normal((80, 4)),
    }
    parts = [
        {k: v[part] for k, v in outputs.items()} for part in (slice(40), slice(40, 80))
    ]
    numbers = knowledge(parts[0], labels[:40], parts[1], labels[40:])
    assert numbers["probe_informed"] == numbers["recall_1_informed"] == 1
    assert numbers["probe_noise"] < 0.8
    assert numbers["probe_both"] > 0.9


def test_imposed_motion_moves_the_picture_as_it_says():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:80, :120]
    hill = 255 * np.exp(-((x - 60) ** 2 + (y - 40) ** 2) / 50)
    pictures = {"hill": np.repeat(hill[None, :, :, None], 3, axis=-1).astype("uint8")}
    clips, motions = moving_clips(pictures, [("hill", 0, 1)], 6, rng)
    for clip, (right, down, zoom, turn) in zip(clips, motions, strict=True):
        grey = clip[..., 0]
        places = [
            [np.average(axis, weights=frame) for axis in np.mgrid[:48, :48]]
            for frame in grey
        ]
        # About the middle of the clip zoom and turn move little.
        step = np.subtract(places[4], places[3])
        assert np.sign(step[1]) == np.sign(right) or abs(right) < 0.6
        assert np.sign(step[0]) == np.sign(down) or abs(down) < 0.6
        assert np.sign(grey[-1].sum() - grey[0].sum()) == np.sign(zoom)
        assert abs(turn) <= MOTIONS["turn"][0]


def test_clips_are_played_at_the_speed_and_in_the_direction_they_are_said_to():
    numbers = np.arange(60, dtype="uint8")[:, None, None, None]
    pictures = {"counter": np.broadcast_to(numbers, (60, 50, 70, 3))}
    rng = np.random.default_rng(0)
    clips, playbacks = played_clips(pictures, [("counter", 20, 52)], 40, rng)
    shown = np.round(255 * clips[:, :, 0, 0, 0]).astype(int)
    assert shown.min() >= 20 and shown.max() < 52
    steps = np.diff(shown, axis=1)
    expected = np.round(2 ** playbacks[:, 0]) * playbacks[:, 1]
    np.testing.assert_array_equal(steps, np.repeat(expected[:, None], 7, axis=1))
    assert {*expected} == {s * d for s in range(1, FASTEST + 1) for d in (1, -1)}


def test_motions_are_read_from_what_tells_them():
    rng = np.random.default_rng(0)
    motions = rng.uniform(-1, 1, (100, 2))
    values = motions @ rng.standard_normal((2, 6)) + 0.01 * rng.standard_normal(
        (100, 6)
    )
    read = read_motions(values[:60], motions[:60], values[60:])
    np.testing.assert_allclose(read, motions[60:], atol=0.1)
