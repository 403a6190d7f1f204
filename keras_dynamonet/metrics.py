"""How good predicted frames are, between copying the last frame and the best filter.

PSNR is that of the mean squared error over all data, `-10 log10(mean e^2)` in dB with
pixels in [0, 1]. (A mean of single PSNRs would be infinite for one still clip.)
"""

import keras
import numpy as np
from keras import ops

# Squared error of 1e-10: 100 dB, far beyond 8-bit rounding (59 dB).
_SMALLEST_ERROR = 1e-10


def _decibel(ratio):
    return 10.0 * ops.log10(ops.maximum(ratio, _SMALLEST_ERROR))


def _unless_empty(value, count):
    """`value`, or NaN where nothing was counted."""
    return ops.where(count > 0, value, float("nan"))


def frame_errors(y_true, y_pred):
    """Mean squared error of every frame.

    Args:
        y_true: Real frames, `(batch, frames, height, width, channels)`, in [0, 1].
        y_pred: Predicted frames, likewise.

    Returns:
        `(batch, frames)`, float32.

    Example:

    >>> frames = ops.zeros((2, 4, 8, 8, 3))
    >>> frame_errors(frames, frames + 0.5).shape
    TensorShape([2, 4])
    """
    error = ops.cast(y_true, "float32") - ops.cast(y_pred, "float32")
    return ops.mean(ops.square(error), axis=tuple(range(2, len(error.shape))))


def _clip_weights(errors, sample_weight):
    """Weight of every clip, `(batch,)`; 1 unless given."""
    if sample_weight is None:
        return ops.ones_like(errors)
    return ops.cast(ops.reshape(sample_weight, (-1,)), errors.dtype)


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class PSNR(keras.metrics.Metric):
    """Peak signal-to-noise ratio over all frames seen, in dB; NaN if there were none.

    Example:

    >>> metric = PSNR()
    >>> metric.update_state(ops.zeros((1, 1, 2, 2, 3)), 0.1 * ops.ones((1, 1, 2, 2, 3)))
    >>> round(float(metric.result()), 3)
    20.0
    """

    def __init__(self, name="psnr", **kwargs):
        super().__init__(name=name, **kwargs)
        self.error = self.add_variable((), "zeros", name="error")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds frames.

        Args:
            y_true: Real frames, batch first, pixels in [0, 1].
            y_pred: Predicted frames, likewise.
            sample_weight: Weight of each clip, `(batch,)`. Default: 1.
        """
        self.add_errors(frame_errors(y_true, y_pred), sample_weight)

    def add_errors(self, errors, sample_weight=None):
        """Adds frames by what :func:`frame_errors` says of them."""
        errors = ops.cast(ops.mean(errors, axis=1), self.dtype)
        weights = _clip_weights(errors, sample_weight)
        self.error.assign_add(ops.sum(weights * errors))
        self.count.assign_add(ops.sum(weights))

    def result(self):
        count = ops.convert_to_tensor(self.count)
        error = self.error / ops.where(count > 0, count, 1.0)
        return _unless_empty(-_decibel(error), count)


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class PSNRGain(keras.metrics.Metric):
    """How much a prediction beats copying the last frame, in dB.

    `10 log10(copy error / prediction error)`; 0 is no better than copying, NaN is no
    frame seen.

    Example:

    >>> metric = PSNRGain()
    >>> real = ops.ones((1, 1, 2, 2, 3))
    >>> metric.update_state(real, 0.9 * real, 0 * real)
    >>> round(float(metric.result()), 3)
    20.0
    """

    def __init__(self, name="psnr_gain", **kwargs):
        super().__init__(name=name, **kwargs)
        self.error = self.add_variable((), "zeros", name="error")
        self.copy_error = self.add_variable((), "zeros", name="copy_error")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, previous, sample_weight=None):
        """Adds real, predicted and previous frames, pixels in [0, 1]."""
        errors = [frame_errors(y_true, guess) for guess in (y_pred, previous)]
        self.add_errors(*errors, sample_weight)

    def add_errors(self, errors, copy_errors, sample_weight=None):
        """Adds frames by the :func:`frame_errors` of both predictions."""
        for total, of_frames in ((self.error, errors), (self.copy_error, copy_errors)):
            of_clips = ops.cast(ops.mean(of_frames, axis=1), self.dtype)
            weights = _clip_weights(of_clips, sample_weight)
            total.assign_add(ops.sum(weights * of_clips))
        self.count.assign_add(ops.sum(weights))

    def result(self):
        # The floor keeps an all-still video at 0 dB.
        ratio = (self.copy_error + _SMALLEST_ERROR) / (self.error + _SMALLEST_ERROR)
        return _unless_empty(_decibel(ratio), ops.convert_to_tensor(self.count))


def psnr(real: np.ndarray, predicted: np.ndarray) -> float:
    """PSNR of arrays with pixels in [0, 1], in dB (at most 100).

    Example:

    >>> round(psnr(np.zeros((2, 2)), np.full((2, 2), 0.1)), 3)
    20.0
    """
    error = np.mean(np.square(np.asarray(real, np.float64) - predicted))
    return float(-10 * np.log10(max(error, _SMALLEST_ERROR)))


def copy_last_prediction(clips: np.ndarray) -> np.ndarray:
    """The floor: every frame predicted to be like the one before.

    Args:
        clips: `(batch, frames + 1, height, width, channels)`, any range.

    Returns:
        `(batch, frames, height, width, channels)`.

    Example:

    >>> copy_last_prediction(np.zeros((1, 5, 8, 8, 3))).shape
    (1, 4, 8, 8, 3)
    """
    return clips[:, :-1]


def least_squares_prediction(clips: np.ndarray, kernel_size: int) -> np.ndarray:
    """The ceiling: each transition filtered with the best kernel in hindsight.

    Solves `argmin |F * x[t] - x[t+1]|^2` with one kernel for all colours, over every
    pixel whose neighbourhood lies inside the frame.

    Args:
        clips: `(batch, frames + 1, height, width, channels)`, pixels in [0, 1].
        kernel_size: Odd side of the kernel.

    Returns:
        `(batch, frames, height - k + 1, width - k + 1, channels)`: the predictions of
        the pixels inside the rim.

    Raises:
        ValueError: If `kernel_size` is even.

    Example:

    >>> clips = np.random.default_rng(0).random((1, 2, 12, 12, 3))
    >>> clips[:, 1] = np.roll(clips[:, 0], 1, axis=2)  # moves right by one pixel
    >>> best = least_squares_prediction(clips, 3)
    >>> bool(np.allclose(best[0, 0], clips[0, 1, 1:-1, 1:-1]))
    True
    """
    if kernel_size % 2 == 0:
        raise ValueError(
            f"`kernel_size` must be odd. Received: kernel_size={kernel_size}"
        )
    clips = np.asarray(clips, np.float64)
    rim = kernel_size // 2
    batch, frames, height, width, channels = clips.shape
    inner = (height - 2 * rim, width - 2 * rim, channels)
    predictions = np.empty((batch, frames - 1, *inner), np.float64)
    for clip in range(batch):
        for frame in range(frames - 1):
            windows = np.lib.stride_tricks.sliding_window_view(
                clips[clip, frame], (kernel_size, kernel_size), axis=(0, 1)
            )
            rows = windows.reshape(-1, kernel_size**2)
            target = clips[clip, frame + 1, rim : height - rim, rim : width - rim]
            # Normal equations: a few hundred times faster than lstsq on the rows; the
            # pseudo-inverse deals with a singular (constant) picture.
            matrix, vector = rows.T @ rows, rows.T @ target.reshape(-1)
            kernel = np.linalg.lstsq(matrix, vector, rcond=1e-13)[0]
            predictions[clip, frame] = (rows @ kernel).reshape(inner)
    return predictions
