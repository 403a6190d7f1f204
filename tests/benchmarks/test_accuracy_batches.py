import itertools

import numpy as np

from benchmarks.accuracy.batches import (
    held_out_clips,
    keep_labels,
    training_batches,
)
from benchmarks.accuracy.clips import LabelledClips

FRAMES = 6


def numbered_clips(count=5):
    """Clips whose pixels are 10 times their number plus the frame's."""
    values = 10 * np.arange(1, count + 1)[:, None] + np.arange(FRAMES)
    clips = np.broadcast_to(
        values[:, :, None, None, None], (count, FRAMES, 4, 4, 3)
    ).astype("uint8")
    return LabelledClips(clips, np.arange(count, dtype="int32"))


def take(count, **arguments):
    arguments = {"num_frames": 4, "batch_size": 2, "seed": 0, **arguments}
    return list(
        itertools.islice(training_batches(numbered_clips(), **arguments), count)
    )


def test_batches_are_a_function_of_the_seed():
    for one, other in zip(take(3), take(3), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    pairs = zip(take(3), take(3, seed=1), strict=True)
    assert any((one[1] != other[1]).any() for one, other in pairs)


def test_every_clip_comes_once_an_epoch_with_its_label():
    labels = np.concatenate([label for _, label in take(5)])
    assert sorted(labels[:5]) == sorted(labels[5:]) == [0, 1, 2, 3, 4]
    for clips, labels in take(5):
        # Brightness varies by a fifth, the numbers of clips by tens.
        found = clips[:, 0].mean(axis=(1, 2, 3))
        assert (np.abs(found / (10 * (labels + 1)) - 1) < 0.75).all()


def test_natural_frames_follow_each_other():
    for clips, _ in take(4):
        assert (np.diff(clips.astype(int)[..., 0, 0, 0], axis=1) >= 0).all()


def test_single_is_one_frame_and_shuffled_all_of_them():
    data = numbered_clips()
    natural, single, shuffled = (
        held_out_clips(data, 4, order)[..., 0, 0, 0]
        for order in ("natural", "single", "shuffled")
    )
    assert (natural[0] == [11, 12, 13, 14]).all()
    assert (single[0] == 13).all()
    assert (np.sort(shuffled, axis=1) == natural).all()
    assert (shuffled != natural).any()


def test_a_larger_share_keeps_the_labels_of_a_smaller_one():
    labels = np.repeat(np.arange(3, dtype="int32"), 20)
    few, more = (keep_labels(labels, share, seed=3) for share in (0.1, 0.5))
    assert [(few == label).sum() for label in range(3)] == [2, 2, 2]
    assert [(more == label).sum() for label in range(3)] == [10, 10, 10]
    assert (more[few >= 0] == few[few >= 0]).all()
    assert (few[few >= 0] == labels[few >= 0]).all()
    assert (keep_labels(labels, 0.1, seed=4) != few).any()
