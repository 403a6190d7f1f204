import numpy as np
import pytest

from keras_dynamonet.training.frame_quality import FrameQualityMeter


def shifted_clips(count, shift):
    """Noise that moves right by `shift` pixels a frame."""
    noise = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), "uint8")
    return np.stack([np.roll(noise, t * shift, axis=2) for t in range(4)], axis=1)


def test_bounds_of_a_shift_within_the_filter():
    clips = shifted_clips(2, 1)
    meter = FrameQualityMeter(3)
    meter.update(clips, clips[:, 1:] / 255)  # a perfect prediction
    quality = meter.result()
    assert quality.clips == 2
    for part in (quality.observed, quality.unseen):
        assert part.floor < 15
        assert part.model == 100.0
        assert part.ceiling > 60


def test_errors_are_pooled_over_batches_and_rim_is_left_out():
    clips = np.zeros((4, 3, 8, 8, 3), np.uint8)
    predicted = np.zeros((4, 2, 8, 8, 3), np.float32)
    predicted[:, :, 0] = 9.0  # on the rim
    predicted[0, 1] += 0.2  # one clip of four, unseen frame
    meter = FrameQualityMeter(3)
    for part in (slice(0, 1), slice(1, 4)):
        meter.update(clips[part], predicted[part])
    quality = meter.result()
    assert quality.observed.model == 100.0
    assert quality.unseen.model == pytest.approx(-10 * np.log10(0.2**2 / 4))


def test_per_channel_ceiling_is_higher_where_colours_move_apart():
    clips = shifted_clips(1, 1)
    clips[..., 0] = shifted_clips(1, -1)[..., 0]
    shared, apart = FrameQualityMeter(3), FrameQualityMeter(3, per_channel=True)
    for meter in (shared, apart):
        meter.update(clips, clips[:, :-1] / 255)
    assert apart.result().unseen.ceiling > shared.result().unseen.ceiling + 10


def test_one_filter_is_no_ceiling_for_several():
    clips = shifted_clips(1, 1)
    meter = FrameQualityMeter(3, segments=2)
    meter.update(clips, clips[:, 1:] / 255)
    unseen = meter.result().unseen
    assert (unseen.model, unseen.ceiling) == (100.0, None)


def test_a_single_transition_has_no_observed_part():
    clips = np.zeros((1, 2, 8, 8, 3), np.uint8)
    meter = FrameQualityMeter(3)
    meter.update(clips, np.zeros((1, 1, 8, 8, 3)))
    quality = meter.result()
    assert quality.observed is None
    assert quality.unseen.model == 100.0


def test_without_clips_there_is_no_result():
    assert FrameQualityMeter(3).result() is None
