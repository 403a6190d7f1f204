"""What a model says of every held-out clip, kept for the demo's report."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from keras_dynamonet.metrics import least_squares_prediction, psnr
from keras_dynamonet.training.probabilities import softmax


@dataclass(frozen=True)
class ClipOutputs:
    """Clips of a split with the model's answers.

    Args:
        clips: uint8 `(clips, T + 1, height, width, 3)`.
        labels: `(clips,)`.
        probabilities: `(clips, classes)`.
        filters: `(clips, T, k, k)`, averaged over colours where each has its own.
        gain: `(clips, T)`, decibels by which each predicted frame beats a copy.
    """

    clips: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    filters: np.ndarray
    gain: np.ndarray

    def of_class(self, label: int) -> np.ndarray:
        """Indices of the clips of a class."""
        return np.flatnonzero(self.labels == label)


@dataclass(frozen=True)
class PredictedFrame:
    """One transition of a clip with its bounds, all PSNR in dB without the rim.

    Args:
        previous: uint8 `(height, width, 3)`.
        real: The frame after it.
        predicted: The model's prediction of it, floats in [0, 1].
        floor: PSNR of `previous`.
        model: PSNR of `predicted`.
        ceiling: PSNR of the best filter.
    """

    previous: np.ndarray
    real: np.ndarray
    predicted: np.ndarray
    floor: float
    model: float
    ceiling: float


def collect_outputs(model, batches: Iterable) -> ClipOutputs:
    """Runs the model over a data set of `(clips, labels, video indices)`."""
    parts = []
    for clips, labels, _ in batches:
        clips, labels = np.asarray(clips), np.asarray(labels)
        outputs = _predict(model, clips)
        parts.append(
            (
                clips,
                labels,
                softmax(outputs["logits"]),
                outputs["motion_filters"].mean(axis=-1),
                _gain(clips, outputs["next_frames"], model.kernel_size // 2),
            )
        )
    return ClipOutputs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def predict_frame(model, clip: np.ndarray, transition: int) -> PredictedFrame:
    """The prediction of frame `transition + 1` of a clip `(T + 1, height, width, 3)`.

    Args:
        model: A DynamoNet.
        clip: uint8.
        transition: 0 to T - 1; the last one is the forecast.
    """
    predicted = _predict(model, clip[None])["next_frames"][0, transition]
    pair = clip[None, transition : transition + 2].astype(np.float64) / 255.0
    best = least_squares_prediction(pair, model.kernel_size)[0, 0]
    rim = model.kernel_size // 2
    previous, real, inner = (_without_rim(x, rim) for x in (*pair[0], predicted))
    return PredictedFrame(
        previous=clip[transition],
        real=clip[transition + 1],
        predicted=np.clip(predicted, 0.0, 1.0),
        floor=psnr(real, previous),
        model=psnr(real, inner),
        ceiling=psnr(real, best),
    )


def filters_of(model, clip: np.ndarray) -> np.ndarray:
    """Motion filters `(T, k, k)` of one clip `(T + 1, height, width, 3)`."""
    return _predict(model, clip[None])["motion_filters"][0].mean(axis=-1)


def _predict(model, clips: np.ndarray) -> dict[str, np.ndarray]:
    outputs = model.predict_on_batch(clips)
    return {name: np.asarray(value) for name, value in outputs.items()}


def _gain(clips: np.ndarray, predicted: np.ndarray, rim: int) -> np.ndarray:
    """Decibels over copying, `(clips, T)`; 0 where nothing moves."""
    frames = _without_rim(clips, rim).astype(np.float32) / 255.0
    real, previous = frames[:, 1:], frames[:, :-1]
    pixels = (-3, -2, -1)
    smallest = 1e-10  # still pictures: no gain rather than an infinite one
    copy_error = np.square(real - previous).mean(axis=pixels) + smallest
    error = np.square(real - _without_rim(predicted, rim)).mean(axis=pixels) + smallest
    return 10.0 * np.log10(copy_error / error)


def _without_rim(frames: np.ndarray, rim: int) -> np.ndarray:
    """Leaves out the edge, where the filter sees past the frame."""
    return frames[..., rim : frames.shape[-3] - rim, rim : frames.shape[-2] - rim, :]
