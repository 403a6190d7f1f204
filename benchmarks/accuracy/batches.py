"""Training batches as a function of seed and step."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.accuracy.clips import LabelledClips
from keras_dynamonet.data.label_mix import LabelMix

Order = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _single(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.repeat(clip[len(clip) // 2][None], len(clip), axis=0)


ORDERS: dict[str, Order] = {
    "natural": lambda clip, rng: clip,
    "shuffled": lambda clip, rng: rng.permutation(clip),
    "single": _single,
}
"""What becomes of the frames of a clip, by the name of the order."""


def keep_labels(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Labels with -1 in place of all but a share of those of each class.

    A larger share keeps all labels of a smaller one with the same seed.

    Example:

    >>> keep_labels(np.array([0, 0, 1, 1]), 0.5, seed=0)
    array([-1,  0, -1,  1], dtype=int32)
    """
    rng = np.random.default_rng([seed, 7])
    kept = np.full(len(labels), -1, "int32")
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        chosen = members[: max(1, round(share * len(members)))]
        kept[chosen] = label
    return kept


def training_batches(
    data: LabelledClips,
    *,
    num_frames: int,
    batch_size: int,
    seed: int,
    order: str = "natural",
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches without end: every clip once an epoch, in a new order.

    A clip starts at a random frame, half of the clips are mirrored, and brightness
    varies by a fifth. Where fewer than half have a label, half of a batch does, as in
    `dynamonet train --unlabelled`, and clips with and without have epochs of their own.

    Args:
        data: Clips with at least `num_frames` frames.
        num_frames: Frames of the clips of a batch.
        batch_size: Clips a batch; at most all there are.
        seed: Of every draw.
        order: A key of `ORDERS`.

    Yields:
        `(batch, num_frames, height, width, 3)`, uint8, and `(batch,)`, int32.
    """
    rng = np.random.default_rng(seed)
    spare = data.clips.shape[1] - num_frames + 1
    # Labelled ones first.
    groups = LabelMix(data.labels, labelled_share=0.5).groups[::-1]
    turns = [_turns(group, batch_size // len(groups), rng) for group in groups]
    while True:
        chosen = np.concatenate([next(turn) for turn in turns])
        clips = []
        for index in chosen:
            start = rng.integers(spare)
            clip = data.clips[index, start : start + num_frames]
            clip = clip[:, :, ::-1] if rng.random() < 0.5 else clip
            clips.append(ORDERS[order](clip, rng))
        gain = rng.uniform(0.8, 1.2, (batch_size, 1, 1, 1, 1))
        batch = np.clip(np.stack(clips) * gain, 0, 255).astype("uint8")
        yield batch, data.labels[chosen]


def _turns(
    members: Sequence[int], count: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """`count` of the members at a time, all of them before one comes again."""
    waiting = np.empty(0, int)
    while True:
        while len(waiting) < count:
            waiting = np.concatenate([waiting, rng.permutation(members)])
        chosen, waiting = waiting[:count], waiting[count:]
        yield chosen


def held_out_clips(data: LabelledClips, num_frames: int, order: str) -> np.ndarray:
    """The middle of every clip, `(n, num_frames, height, width, 3)`."""
    rng = np.random.default_rng(0)
    start = (data.clips.shape[1] - num_frames) // 2
    middle = data.clips[:, start : start + num_frames]
    return np.stack([ORDERS[order](clip, rng) for clip in middle])
