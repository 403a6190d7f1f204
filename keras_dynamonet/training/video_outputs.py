"""What a model says of whole videos: the mean over their views, output by output."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_dynamonet.data.bad_files import BadFileLog
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.pipeline import evaluation_dataset
from keras_dynamonet.data.places import absolute_path
from keras_dynamonet.training.data_errors import original_errors
from keras_dynamonet.training.evaluation import Protocol
from keras_dynamonet.training.probabilities import softmax
from keras_dynamonet.training.scores import average_by_video
from keras_dynamonet.training.trained_model import TrainedModel


class ChosenOutputs(keras.Model):
    """A network that computes some of another's outputs, and nothing besides.

    Compiled by its backend, it leaves out what no chosen output needs, e.g. the
    predicted frames.

    Args:
        model: A network with a dictionary of outputs.
        names: The outputs to keep.

    Example:

    ```python
    features = ChosenOutputs(model, ("feature",)).predict_on_batch(clips)["feature"]
    ```
    """

    def __init__(self, model: keras.Model, names: Sequence[str]):
        super().__init__()
        self.model = model
        self.names = tuple(names)

    def call(self, inputs):
        outputs = self.model(inputs, training=False)
        return {name: outputs[name] for name in self.names}


@dataclass(frozen=True)
class VideoOutputs:
    """What a model says of one video.

    Args:
        path: The video.
        means: Mean over the views by name of the output, float64; that of `"logits"` is
            the mean softmax. `None` if the video could not be read.
        error: Why not.
        too_short: Whether it was left out for being shorter than a clip.
    """

    path: str
    means: dict[str, np.ndarray] | None
    error: str | None = None
    too_short: bool = False


class VideoDescriber:
    """Runs a model over videos, as often as asked, tracing it once.

    Args:
        trained: The model.
        names: Outputs to compute, e.g. `("logits", "feature", "dmr")`.
        protocol: Which views of a video to take. Default: its middle clip, centre crop.
        batch_size: Views to compute at a time.
        workers: Threads that read videos. Default: one for each processor.

    Example:

    ```python
    describe = VideoDescriber(load_trained_model("runs/first"), ("feature",))
    [video] = describe(["walk.mp4"])
    video.means["feature"].shape  # (2048,)
    ```
    """

    def __init__(
        self,
        trained: TrainedModel,
        names: Sequence[str],
        *,
        protocol: Protocol | None = None,
        batch_size: int = 16,
        workers: int | None = None,
    ):
        self._spec = trained.spec
        self._model = ChosenOutputs(trained.model, names)
        self._protocol = protocol or Protocol()
        self._batch_size = batch_size
        self._workers = workers

    def __call__(
        self,
        paths: Sequence[str | os.PathLike],
        progress: Callable[[int, int], None] | None = None,
    ) -> list[VideoOutputs]:
        """Describes some videos.

        Args:
            paths: The videos.
            progress: Called with views done and views in all.

        Returns:
            One description a path, in order.
        """
        bad_files = BadFileLog()
        names = [absolute_path(path) for path in paths]
        manifest = Manifest(Path("/"), names, np.full(len(names), -1))
        protocol = self._protocol
        views = len(names) * protocol.num_clips * protocol.num_crops
        dataset = evaluation_dataset(
            manifest,
            self._spec,
            batch_size=self._batch_size,
            num_clips=protocol.num_clips,
            num_crops=protocol.num_crops,
            max_bad_share=1.0,
            workers=self._workers,
            bad_file_log=bad_files,
        )
        batches, indices, done = [], [], 0
        with original_errors(bad_files):
            for clips, _, videos in dataset:
                batches.append(self._compute(clips.numpy()))
                indices.append(videos.numpy())
                done += len(videos)
                if progress is not None:
                    progress(done, views)
        found = _means_by_video(batches, indices)
        errors = {**bad_files.reasons, **bad_files.too_short}
        return [
            VideoOutputs(
                str(path),
                found.get(k),
                errors.get(names[k]),
                names[k] in bad_files.too_short,
            )
            for k, path in enumerate(paths)
        ]

    def _compute(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        # Another batch size would be traced, and on JAX compiled, anew.
        missing = self._batch_size - len(clips)
        padded = np.pad(clips, [(0, missing)] + [(0, 0)] * (clips.ndim - 1))
        outputs = self._model.predict_on_batch(padded)
        rows = {name: array[: len(clips)] for name, array in outputs.items()}
        if "logits" in rows:
            rows["logits"] = softmax(rows["logits"])
        return rows


def _means_by_video(
    batches: list[dict[str, np.ndarray]], indices: list[np.ndarray]
) -> dict[int, dict[str, np.ndarray]]:
    """Means of each output by the video's index; empty without batches."""
    found: dict[int, dict[str, np.ndarray]] = {}
    for name in batches[0] if batches else ():
        rows = np.concatenate([batch[name] for batch in batches])
        videos, means = average_by_video(rows, np.concatenate(indices))
        for video, mean in zip(videos.tolist(), means, strict=True):
            found.setdefault(video, {})[name] = mean
    return found
