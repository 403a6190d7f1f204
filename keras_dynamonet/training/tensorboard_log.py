"""Scalars and predicted frames for TensorBoard, without needing TensorBoard to write.

An event file is a TFRecord file of `Event` messages. `tf.summary.scalar` and
`tf.summary.image` come from the `tensorboard` package, an extra; writing the messages
is all they would do here. `pip install keras-dynamonet[tensorboard]` to look at them.
"""

import platform
import time
from collections.abc import Mapping
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf

from keras_dynamonet.data.record_writing import RecordWriter
from keras_dynamonet.training.checkpoints import inference_copy
from keras_dynamonet.training.distribution import Distribution


class EventWriter:
    """Appends scalars and pictures to a new event file in a folder.

    Args:
        folder: Folder of the run; made when missing.
        first_step: Step that the run starts or goes on at. Anything that an earlier,
            killed process wrote at later steps is dropped from view.

    Example:

    ```python
    with EventWriter("runs/first/tensorboard/train", first_step=0) as writer:
        writer.scalars({"loss": 2.1}, step=100)
    ```
    """

    def __init__(self, folder: str | Path, first_step: int):
        Path(folder).mkdir(parents=True, exist_ok=True)
        stamp = f"{time.time():017.6f}.{platform.node()}"
        self._path = Path(folder) / f"events.out.tfevents.{stamp}"
        self._writer = RecordWriter(self._path)
        self._write(tf.compat.v1.Event(file_version="brain.Event:2"))
        start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        # Readers drop what was written at this step, too.
        self._write(tf.compat.v1.Event(step=first_step + 1, session_log=start))

    def __enter__(self) -> "EventWriter":
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Writes named numbers."""
        summary = tf.compat.v1.Summary()
        for name, value in values.items():
            summary.value.add(tag=name, simple_value=value)
        self._write(tf.compat.v1.Event(step=step, summary=summary))

    def picture(self, name: str, pixels: np.ndarray, step: int) -> None:
        """Writes an RGB picture, uint8 of shape `(height, width, 3)`."""
        height, width, channels = pixels.shape
        png = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))[1]
        summary = tf.compat.v1.Summary()
        value = summary.value.add(tag=name)
        value.image.height, value.image.width = height, width
        value.image.colorspace = channels
        value.image.encoded_image_string = png.tobytes()
        self._write(tf.compat.v1.Event(step=step, summary=summary))

    def _write(self, event) -> None:
        event.wall_time = time.time()
        self._writer.write(event.SerializeToString())
        self._writer.flush()


class TensorBoardLog(keras.callbacks.Callback):
    """Logs losses while training, and predicted frames of the same clips every epoch.

    Args:
        folder: `tensorboard/` of the run; training and validation get a folder each.
        steps_per_epoch: Training steps of one epoch.
        first_step: Step that the run starts or goes on at.
        clips: A few clips `(clips, frames + 1, height, width, 3)`, uint8, to predict.
        every_steps: Steps between two points of a curve.
        distribution: How steps are shared out; frames are predicted on one device.
    """

    def __init__(
        self,
        folder: Path,
        *,
        steps_per_epoch: int,
        first_step: int = 0,
        clips: np.ndarray | None = None,
        every_steps: int = 10,
        distribution: Distribution | None = None,
    ):
        super().__init__()
        self._writers = {
            part: EventWriter(folder / part, first_step)
            for part in ("train", "validation")
        }
        self._steps_per_epoch = steps_per_epoch
        self._first_step = self._last_step = first_step
        self._clips = clips
        self._every_steps = every_steps
        self._distribution = distribution or Distribution()

    def on_train_batch_end(self, batch, logs=None):
        step = self._first_step + batch + 1
        # Several steps may be run in one go.
        before, self._last_step = self._last_step, step
        if step // self._every_steps > before // self._every_steps:
            rate = float(self.model.optimizer.learning_rate)
            logs = {f"step/{name}": value for name, value in logs.items()}
            self._writers["train"].scalars({**logs, "learning_rate": rate}, step)

    def on_epoch_end(self, epoch, logs=None):
        step = self._first_step = (epoch + 1) * self._steps_per_epoch
        train = {k: v for k, v in logs.items() if not k.startswith("val_")}
        validation = {k[4:]: v for k, v in logs.items() if k.startswith("val_")}
        for part, values in (("train", train), ("validation", validation)):
            values = {f"epoch/{name}": value for name, value in values.items()}
            self._writers[part].scalars(values, step)
        if self._clips is not None:
            picture = prediction_sheet(self._clips, self._predict_frames())
            self._writers["validation"].picture("next_frames", picture, step)

    def _predict_frames(self) -> np.ndarray:
        if self._distribution.num_devices == 1:
            return self.model.predict_on_batch(self._clips)["next_frames"]
        with self._distribution.local():
            model = inference_copy(self.model)
            return model.predict_on_batch(self._clips)["next_frames"]


def prediction_sheet(
    clips: np.ndarray, next_frames: np.ndarray, *, transitions: int = 4, gap_px: int = 2
) -> np.ndarray:
    """Real and predicted frames in one picture.

    Each clip gives three rows: the real frames, the predicted ones below them, and the
    error, four times enlarged, around grey. Columns are the last transitions of the
    clip; the rightmost is the forecast.

    Args:
        clips: `(clips, frames + 1, height, width, 3)`, uint8.
        next_frames: `(clips, frames, height, width, 3)`, floats near [0, 1].
        transitions: Columns, at most.
        gap_px: White space between pictures.

    Returns:
        The picture, uint8 of shape `(height, width, 3)`.
    """
    real = clips[:, 1:][:, -transitions:] / np.float32(255)
    predicted = np.asarray(next_frames, np.float32)[:, -transitions:]
    error = 0.5 + 4.0 * (predicted - real)
    pad = [(0, 0)] * 3 + [(0, gap_px)] * 2 + [(0, 0)]
    rows = np.pad(np.stack([real, predicted, error], 1), pad, constant_values=1.0)
    clips_, kinds, columns, height, width, channels = rows.shape
    sheet = rows.transpose(0, 1, 3, 2, 4, 5)
    sheet = sheet.reshape(clips_ * kinds * height, columns * width, channels)
    return np.rint(np.clip(sheet, 0, 1) * 255).astype(np.uint8)
