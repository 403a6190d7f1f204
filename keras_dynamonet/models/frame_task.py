"""The second task of the network: what comes next. Losses and metrics of the frames."""

import keras
from keras import ops

from keras_dynamonet.frame_views import through_view
from keras_dynamonet.layers import backend_ops
from keras_dynamonet.layers.borders import crop_rim
from keras_dynamonet.losses import get_frame_loss
from keras_dynamonet.metrics import PSNR, PSNRGain, frame_errors
from keras_dynamonet.models.step_means import weighted_mean


class FrameTask:
    """Loss and metrics between predicted and real frames.

    A rim of `k // 2` pixels is left out: errors there measure the border rule.

    Args:
        num_frames: T, the frames that the network sees.
        kernel_size: Side k of the filters.
        learned_from: Number of the first prediction that weights stand behind.

    Attributes:
        metrics: `frame_loss`, and PSNR and its gain over copying, of the observed
            transitions and of the unseen one apart; for the network to track.
        loss_function: The `keras.losses.Loss`; set by :meth:`compile`.
    """

    def __init__(self, num_frames, kernel_size, learned_from=0):
        self._rim = kernel_size // 2
        self._learned_from = learned_from
        self._parts = {
            "observed": slice(0, num_frames - 1),
            "unseen": slice(num_frames - 1, None),
        }
        self._loss_tracker = keras.metrics.Mean(name="frame_loss")
        self._psnr = {part: PSNR(f"psnr_{part}") for part in self._parts}
        self._gain = {part: PSNRGain(f"psnr_gain_{part}") for part in self._parts}
        self.metrics = [self._loss_tracker, *self._psnr.values(), *self._gain.values()]
        self.loss_function = None

    def compile(self, loss, view="raw"):
        """Takes a loss as :func:`get_frame_loss` does, and the view it has."""
        self.loss_function = through_view(get_frame_loss(loss), view)

    def loss(self, clip, next_frames, weight):
        """Mean loss over the clips.

        Args:
            clip: `(batch, T or T + 1, height, width, 3)`, pixels in [0, 1].
            next_frames: `(batch, T, height, width, 3)`.
            weight: Weight of each clip, `(batch,)`.
        """
        real, predicted, _ = self._to_compare(clip, next_frames)
        targets = count_targets(clip)
        first = min(self._learned_from, targets)
        # A loss is a mean over frames: those without weights behind them are taken
        # apart, so that no gradient is computed for them.
        parts = [(0, first, ops.stop_gradient(predicted)), (first, targets, predicted)]
        value = sum(
            (stop - start)
            / targets
            * weighted_mean(
                self.loss_function.call(
                    backend_ops.crop(real, 1, start, stop),
                    backend_ops.crop(frames, 1, start, stop),
                ),
                weight,
            )
            for start, stop, frames in parts
            if stop > start
        )
        self._loss_tracker.update_state(value, sample_weight=ops.sum(weight))
        return value

    def update_metrics(self, clip, next_frames, weight):
        """Adds a batch to PSNR and gain; arguments as for :meth:`loss`.

        Returns:
            The names of the metrics that clips of this length say nothing about.
        """
        real, predicted, previous = self._to_compare(clip, next_frames)
        errors = frame_errors(real, predicted)
        copy_errors = frame_errors(real, previous)
        without_data = []
        for part, frames in self._parts.items():
            psnr, gain = self._psnr[part], self._gain[part]
            if not errors[:, frames].shape[1]:
                without_data += [psnr.name, gain.name]
                continue
            psnr.add_errors(errors[:, frames], weight)
            gain.add_errors(errors[:, frames], copy_errors[:, frames], weight)
        return without_data

    def _to_compare(self, clip, next_frames):
        """Real, predicted and previous frames, without the rim."""
        frames = clip[:, 1:], next_frames[:, : count_targets(clip)], clip[:, :-1]
        return tuple(crop_rim(part, self._rim) for part in frames)


class FilterTeacher:
    """Distance of the filters that a network made to the best ones in hindsight.

    Args:
        solver: Solves for the best filters.
        normalization: Turns them into filters, as the network does if it can express
            them.
        learned_from: Number of the first filter that a network made.
    """

    def __init__(self, solver, normalization, learned_from):
        self._solver = solver
        self._normalization = normalization
        self._learned_from = learned_from

    def has_lesson(self, clip):
        """Whether a clip shows what a filter of the network should have been."""
        return self._learned_from < count_targets(clip)

    def loss(self, clip, filters, weight):
        """Mean over transitions of the squared distance.

        Args:
            clip: `(batch, T or T + 1, height, width, 3)`, pixels in [0, 1].
            filters: `(batch, T, k, k, channels)`.
            weight: Weight of each clip, `(batch,)`.
        """
        first, targets = self._learned_from, count_targets(clip)
        best = self._normalization(self._solver(clip[:, first : targets + 1]))
        made = filters[:, first:targets]
        distance = ops.sum(ops.square(made - ops.stop_gradient(best)), axis=(2, 3, 4))
        return weighted_mean(distance, weight)


def count_targets(clip):
    """Number of frames of a clip that have one before them.

    Raises:
        ValueError: If the shape leaves it open.
    """
    if clip.shape[1] is None:
        raise ValueError(
            "The loss needs to know the number of frames of a batch. Give the dataset "
            "a static shape; between clips of T and of T + 1 frames, compile again."
        )
    return clip.shape[1] - 1
