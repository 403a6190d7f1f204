"""How well next frames are predicted, between what is free and what is possible."""

from dataclasses import dataclass

import numpy as np

from keras_dynamonet.metrics import least_squares_prediction

# Errors below this are beyond 8-bit rounding; keeps still clips finite (100 dB).
_SMALLEST_ERROR = 1e-10


@dataclass(frozen=True)
class FrameBounds:
    """PSNR in dB, over pixels whose neighbourhood lies inside the frame.

    Args:
        floor: Of copying the last frame.
        model: Of the model's prediction.
        ceiling: Of the best filter of the model's size in hindsight; `None` for a model
            of several filters a transition, which one filter does not bound.
    """

    floor: float
    model: float
    ceiling: float | None = None


@dataclass(frozen=True)
class FrameQuality:
    """Prediction quality, observed transitions and the forecast apart.

    Args:
        clips: Number of clips measured.
        observed: Over the transitions whose target the model has seen; `None` for
            clips of one frame.
        unseen: Over the forecast of the frame it has not seen.
    """

    clips: int
    observed: FrameBounds | None
    unseen: FrameBounds


class FrameQualityMeter:
    """Sums squared errors over batches of clips.

    PSNR is that of the mean squared error over all data, not a mean of PSNRs: that
    would be infinite for one still clip.

    Args:
        kernel_size: Odd side of the model's filters.
        per_channel: Whether the model has a filter for each colour.
        segments: Filters of the model for a transition; with several, no ceiling.

    Example:

    >>> meter = FrameQualityMeter(3)
    >>> clips = np.random.default_rng(0).integers(0, 256, (2, 5, 12, 12, 3), "uint8")
    >>> meter.update(clips, clips[:, :-1] / 255)  # predicts no change
    >>> quality = meter.result()
    >>> quality.unseen.model == quality.unseen.floor < quality.unseen.ceiling
    True
    """

    def __init__(
        self, kernel_size: int, *, per_channel: bool = False, segments: int = 1
    ):
        self._kernel_size = kernel_size
        self._per_channel = per_channel
        self._has_ceiling = segments == 1
        # floor, model and, where there is one, ceiling x observed, unseen
        self._errors = np.zeros((2 + self._has_ceiling, 2))
        self._values = np.zeros(2)
        self._clips = 0

    def update(self, clips: np.ndarray, next_frames: np.ndarray) -> None:
        """Adds clips and what was predicted for them.

        Args:
            clips: `(batch, frames + 1, height, width, 3)`, uint8.
            next_frames: `(batch, frames, height, width, 3)`, floats near [0, 1].
        """
        frames = clips.astype(np.float64) / 255.0
        rim = self._kernel_size // 2
        inner = slice(rim, -rim or None)
        real = frames[:, 1:, inner, inner]
        predictions = [
            frames[:, :-1, inner, inner],
            np.asarray(next_frames, np.float64)[:, :, inner, inner],
        ]
        if self._has_ceiling:
            predictions.append(self._best_filters(frames))
        for row, predicted in enumerate(predictions):
            squares = np.square(predicted - real).sum(axis=(0, 2, 3, 4))
            self._errors[row] += squares[:-1].sum(), squares[-1]
        values_a_frame = real[:, 0].size
        self._values += values_a_frame * (real.shape[1] - 1), values_a_frame
        self._clips += len(clips)

    def result(self) -> FrameQuality | None:
        """The quality over all clips added, or `None` if there were none."""
        if not self._clips:
            return None
        observed, unseen = (self._bounds(part) for part in (0, 1))
        return FrameQuality(self._clips, observed, unseen)

    def _bounds(self, part: int) -> FrameBounds | None:
        if not self._values[part]:
            return None
        errors = np.maximum(self._errors[:, part] / self._values[part], _SMALLEST_ERROR)
        return FrameBounds(*(float(-10.0 * np.log10(error)) for error in errors))

    def _best_filters(self, frames: np.ndarray) -> np.ndarray:
        if not self._per_channel:
            return least_squares_prediction(frames, self._kernel_size)
        colours = (frames[..., c : c + 1] for c in range(frames.shape[-1]))
        return np.concatenate(
            [least_squares_prediction(part, self._kernel_size) for part in colours], -1
        )
