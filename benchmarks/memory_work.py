"""A DynamoNet of any size: a batch predicted, or a step of training."""

import numpy as np

from benchmarks.artefacts import noise_clips
from benchmarks.contestant import Work


def inference(preset: str, frames: int, size: int, batch: int, threads: int) -> Work:
    """`predict_on_batch` of a whole network."""
    model = _network(preset, frames, size)
    clips = noise_clips(batch, (frames, size, size, 3))
    return _work(lambda: model.predict_on_batch(clips), batch)


def training(preset: str, frames: int, size: int, batch: int, threads: int) -> Work:
    """`train_on_batch` with AdamW on labels and frames."""
    model = _network(preset, frames, size)
    model.compile()
    clips = noise_clips(batch, (frames + 1, size, size, 3))
    labels = np.zeros(batch, "int32")
    return _work(lambda: model.train_on_batch(clips, labels), batch)


def _network(preset, frames, size):
    from keras_dynamonet.models.dynamonet import DynamoNet

    backbone = {"num_frames": frames}
    return DynamoNet.from_preset(preset, 400, size=size, backbone=backbone)


def _work(step, batch):
    import keras

    runtime = f"keras {keras.__version__} on {keras.backend.backend()}"
    return Work(step, dict, runtime, batch)
