"""Numbers of a trained network: frame prediction, and what its outputs know."""

from collections.abc import Mapping

import numpy as np
from keras import ops

from keras_dynamonet.layers import SegmentSolver
from keras_dynamonet.layers.borders import crop_rim
from keras_dynamonet.layers.dynamic_motion_filter import DynamicMotionFilter
from keras_dynamonet.layers.filter_normalization import FilterNormalization
from keras_dynamonet.losses import SSIMFrameLoss
from keras_dynamonet.metrics import least_squares_prediction, psnr

RIDGE = 1.0
"""Of the linear probe, relative to the mean power of the standardised inputs."""

NEAREST = (1, 5, 10)

STILL = 0.1 / 255
"""Mean change of a pixel up to which a transition counts as still, in [0, 1]."""


def frame_quality(
    clips: np.ndarray, next_frames: np.ndarray, kernel_size: int, segments: int = 1
) -> dict[str, float]:
    """PSNR and SSIM of observed transitions and of the unseen frame.

    `floor` copies the last frame, `ceiling` is the best single filter in hindsight,
    `segments` the best filters of several segments in hindsight with their masks.
    `psnr_` is that of all pixels together, `clip_psnr_` the mean over clips that move.

    Args:
        clips: `(n, T + 1, height, width, 3)`, uint8.
        next_frames: `(n, T, height, width, 3)`, floats near [0, 1].
        kernel_size: Odd side of the filters.
        segments: Filters a transition.
    """
    frames = clips.astype("float32") / 255
    rim = kernel_size // 2
    inner = slice(rim, -rim)
    real = frames[:, 1:, inner, inner]
    predictions = {
        "floor": frames[:, :-1, inner, inner],
        "model": next_frames[:, :, inner, inner],
        "ceiling": least_squares_prediction(frames, kernel_size).astype("float32"),
    }
    if segments > 1:
        predictions["segments"] = segments_in_hindsight(frames, kernel_size, segments)
    last = real.shape[1] - 1
    # The PSNR of a still picture has no limit, and says nothing of motion.
    moved = np.abs(real - predictions["floor"]).mean(axis=(2, 3, 4))
    moving = np.flatnonzero(moved.min(axis=1) > STILL)
    numbers = {}
    for part, place in (("observed", slice(0, last)), ("unseen", slice(last, None))):
        for name, predicted in predictions.items():
            pair = real[:, place], predicted[:, place]
            numbers[f"psnr_{part}_{name}"] = psnr(*pair)
            by_clip = [psnr(real[i, place], predicted[i, place]) for i in moving]
            if by_clip:
                numbers[f"clip_psnr_{part}_{name}"] = float(np.mean(by_clip))
            numbers[f"ssim_{part}_{name}"] = 1 - float(SSIMFrameLoss()(*pair))
    return numbers


def segments_in_hindsight(
    frames: np.ndarray, kernel_size: int, segments: int = 2
) -> np.ndarray:
    """Each transition filtered with the filters and masks of a `SegmentSolver`.

    Args:
        frames: `(n, T + 1, height, width, 3)`, in [0, 1].
        kernel_size: Odd side of the filters.
        segments: Number of filters.

    Returns:
        `(n, T, height - k + 1, width - k + 1, 3)`.
    """
    solver = SegmentSolver(kernel_size, segments=segments)
    solver.build(frames.shape)
    move, rim = DynamicMotionFilter(), kernel_size // 2
    parts = []
    for clip in frames:
        equations, masks = solver.segment(clip[None])
        filters = FilterNormalization()(solver.solve(equations, solver.ridge))
        moved = move([clip[None, :-1], filters, masks])
        parts.append(ops.convert_to_numpy(crop_rim(moved, rim)))
    return np.concatenate(parts)


def knowledge(
    train: Mapping[str, np.ndarray],
    train_labels: np.ndarray,
    test: Mapping[str, np.ndarray],
    test_labels: np.ndarray,
) -> dict[str, float]:
    """What a linear classifier and the nearest neighbours make of each output.

    Args:
        train: Outputs `(n, values)` by name for the training clips.
        train_labels: `(n,)`.
        test: The same for the held-out clips.
        test_labels: `(m,)`.

    Returns:
        `probe_NAME` and `recall_K_NAME`, for each output and for both together.
    """
    numbers = {}
    standard = {}
    for name in train:
        mean, deviation = train[name].mean(axis=0), train[name].std(axis=0) + 1e-6
        # Of equal weight in a pair, whatever their numbers of values.
        scale = deviation * np.sqrt(train[name].shape[1])
        standard[name] = [(part[name] - mean) / scale for part in (train, test)]
    if len(standard) > 1:
        standard["both"] = [
            np.concatenate(parts, axis=1)
            for parts in zip(*standard.values(), strict=True)
        ]
    for name, (known, asked) in standard.items():
        predicted = linear_probe(known, train_labels, asked)
        numbers[f"probe_{name}"] = float(np.mean(predicted == test_labels))
        for k, recall in recalls(known, train_labels, asked, test_labels).items():
            numbers[f"recall_{k}_{name}"] = recall
    return numbers


def linear_probe(
    known: np.ndarray, labels: np.ndarray, asked: np.ndarray
) -> np.ndarray:
    """Labels that a ridge regression on one-hot labels gives.

    Args:
        known: `(n, values)`, centred.
        labels: `(n,)`, from 0.
        asked: `(m, values)`.

    Returns:
        `(m,)`.
    """
    known, asked = (part.astype("float64") for part in (known, asked))
    targets = np.eye(labels.max() + 1)[labels]
    centre = targets.mean(axis=0)
    kernel = known @ known.T
    ridge = RIDGE * np.trace(kernel) / len(kernel)
    weights = np.linalg.solve(kernel + ridge * np.eye(len(kernel)), targets - centre)
    return (asked @ known.T @ weights + centre).argmax(axis=1)


def recalls(
    known: np.ndarray,
    labels: np.ndarray,
    asked: np.ndarray,
    asked_labels: np.ndarray,
) -> dict[int, float]:
    """Share of clips with one of their class among the k nearest by cosine.

    Args:
        known: `(n, values)`, to search in.
        labels: `(n,)`.
        asked: `(m, values)`, to search for.
        asked_labels: `(m,)`.
    """
    known, asked = (
        part / (np.linalg.norm(part, axis=1, keepdims=True) + 1e-12)
        for part in (known, asked)
    )
    nearest = np.argsort(-asked @ known.T, axis=1)[:, : max(NEAREST)]
    hits = labels[nearest] == asked_labels[:, None]
    return {k: float(hits[:, :k].any(axis=1).mean()) for k in NEAREST}
