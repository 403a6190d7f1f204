"""Speed of training, and how much of the time goes into waiting for data."""

import logging
import time
from collections.abc import Callable

import keras

from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.places import is_remote
from keras_dynamonet.data.shards import PackedAddress
from keras_dynamonet.training.data_clock import DataClock

logger = logging.getLogger(__name__)

BOTTLENECK_SHARE = 0.2


class Throughput(keras.callbacks.Callback):
    """Adds `clips_per_second` and `data_wait_share` to the logs.

    During an epoch they cover the last seconds, at its end the whole of it, less the
    very first step of the process, in which the model is traced and compiled. Says once
    when an epoch has waited for data for more than a fifth of its time.

    Args:
        clock: Measures the waiting, or `None` where it cannot be seen.
        batch_size: Clips a step.
        advice: Says what is waited for and what helps, see `waiting_advice`; asked
            only where it is told.
        window_seconds: How far back "the last seconds" reach.
    """

    def __init__(
        self,
        clock: DataClock | None,
        batch_size: int,
        *,
        advice: Callable[[], str] = lambda: "data",
        window_seconds: float = 10.0,
    ):
        super().__init__()
        self._advice = advice
        self._clock = clock
        self._batch_size = batch_size
        self._window_seconds = window_seconds
        self._start = None
        self._traced = False
        self._told = False

    def on_epoch_begin(self, epoch, logs=None):
        self._begin = self._start = self._mark(0)
        self._recent = [self._start]

    def on_train_batch_end(self, batch, logs=None):
        self._recent.append(self._mark(batch + 1))
        if not self._traced:
            self._start, self._recent = self._recent[-1], self._recent[-1:]
            self._traced = True
        horizon = self._recent[-1][0] - self._window_seconds
        while len(self._recent) > 2 and self._recent[1][0] < horizon:
            del self._recent[0]
        logs.update(self._rates(self._recent[0]))

    def on_epoch_end(self, epoch, logs=None):
        if self._start is None:
            return  # an epoch of an earlier process
        alone = self._start is self._recent[-1]  # no step but the first
        logs.update(self._rates(self._begin if alone else self._start))
        share = logs.get("data_wait_share", 0.0)
        if not alone and share > BOTTLENECK_SHARE and not self._told:
            self._told = True
            logger.warning(
                "training waits %.0f %% of the time for %s", 100 * share, self._advice()
            )

    def _mark(self, steps: int) -> tuple[float, int, float]:
        waited = self._clock.seconds if self._clock else 0.0
        return time.perf_counter(), steps, waited

    def _rates(self, start: tuple[float, int, float]) -> dict[str, float]:
        seconds, steps, waited = (
            now - then for now, then in zip(self._recent[-1], start, strict=True)
        )
        seconds = max(seconds, 1e-9)
        rates = {"clips_per_second": steps * self._batch_size / seconds}
        if self._clock:
            rates["data_wait_share"] = min(1.0, waited / seconds)
        return rates


def waiting_advice(
    manifest: Manifest, size_px: int, data_service: str | None = None
) -> str:
    """What training on some data waits for, and what helps.

    Args:
        manifest: The videos.
        size_px: Side of the clips' frames.
        data_service: Address of the service that reads them, if there is one.

    Example:

    >>> manifest = Manifest("videos", ("a.mp4",), [0], ("walk",))
    >>> waiting_advice(manifest, 112, "grpc://10.0.0.1:5000").partition(":")[0]
    'the data service'
    """
    if data_service is not None:
        return (
            f"the data service: {data_service} gives fewer clips than training takes. "
            "Start more workers there, or, if they are not busy, look at the network "
            "between"
        )
    # Lists may name packed videos, too; a packed folder need not be looked through.
    packed = manifest.layout == "packed" or all(
        map(PackedAddress.parse, manifest.paths)
    )
    if not packed:
        return (
            "videos: decoding is the bottleneck. Raise --workers up to the cores there "
            "are, or pack the videos near the size they are used at (dynamonet pack)"
        )
    remote = is_remote(manifest.path(0))
    closer = "copy them to this machine" if remote else "put them on a faster disk"
    return (
        "packed shards: reading and scaling their pictures is the bottleneck. Raise "
        f"--workers up to the cores there are, pack nearer to the {size_px} pixels of "
        f"the clips (dynamonet pack --short-side), or {closer}"
    )
