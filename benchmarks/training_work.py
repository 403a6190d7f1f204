"""What the contestants of the training benchmark do: one step of SGD with momentum.

The proof that all train alike: the losses of the first two steps from the same weights,
the second of which depends on every gradient of the first. A whole DynamoNet has more
losses and weights; at first its logits are those of the classifier, and the first loss
of its actions must be that of the others.
"""

import json
from pathlib import Path

import numpy as np

from benchmarks.artefacts import CLASSES, noise_clips
from benchmarks.contestant import Work

LEARNING_RATE, MOMENTUM = 0.01, 0.9
FIRST, SECOND = "first loss", "second loss"


def keras_classifier(folder: str, batch: int, threads: int) -> Work:
    """`train_on_batch` of the classifier; `KERAS_BACKEND` chooses the backend."""
    import keras

    from keras_dynamonet import load_model

    model = load_model(Path(folder) / "classifier.keras", compile=False)
    clips, labels = _data(folder, batch)
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE, MOMENTUM),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return _keras_work(model, clips, labels)


def keras_dynamonet(folder: str, batch: int, threads: int) -> Work:
    """`train_on_batch` of a whole DynamoNet around the classifier's backbone."""
    import keras

    from keras_dynamonet import load_model
    from keras_dynamonet.models.dynamonet import DynamoNet

    classifier = load_model(Path(folder) / "classifier.keras", compile=False)
    model = DynamoNet.from_backbone(classifier)
    clips, labels = _data(folder, batch)
    # One frame more: the target of the forecast.
    clips = np.concatenate([clips, clips[:, -1:]], axis=1)
    model.compile(keras.optimizers.SGD(LEARNING_RATE, MOMENTUM))
    work = _keras_work(model, clips, labels)

    def outputs():
        losses = model.train_on_batch(clips, labels, return_dict=True)
        return {FIRST: np.asarray(losses["action_loss"])}

    return Work(work.step, outputs, work.runtime, batch)


def pytorch(
    folder: str,
    batch: int,
    threads: int,
    memory: str = "contiguous",
    mode: str = "eager",
) -> Work:
    """The same step in PyTorch.

    Args:
        folder: Of the artefacts.
        batch: Clips.
        threads: Of PyTorch.
        memory: `"contiguous"` or `"channels_last"`.
        mode: `"eager"` or `"compiled"` (`torch.compile`).
    """
    import torch

    from benchmarks.torch_network import load_network

    torch.set_num_threads(threads)
    network = load_network(folder).train()
    if memory == "channels_last":
        network = network.to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.SGD(network.parameters(), LEARNING_RATE, MOMENTUM)
    forward = torch.compile(network) if mode == "compiled" else network
    clips, labels = (torch.from_numpy(array) for array in _data(folder, batch))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(forward(clips), labels)
        loss.backward()
        optimizer.step()
        return float(loss)

    runtime = f"torch {torch.__version__} {mode}, {memory}"
    return Work(step, lambda: _losses(step), runtime, batch)


def _keras_work(model, clips, labels):
    import keras

    backend = keras.backend.backend()

    def step():
        return float(np.asarray(model.train_on_batch(clips, labels)).ravel()[0])

    runtime = f"keras {keras.__version__} on {backend}"

    return Work(step, lambda: _losses(step), runtime, len(clips))


def _losses(step):
    return {name: np.array(step()) for name in (FIRST, SECOND)}


def _data(folder, batch):
    config = json.loads((Path(folder) / "config.json").read_text())
    clips = noise_clips(batch, (config["num_frames"], *config["size"], 3), seed=1)
    labels = np.random.default_rng(2).integers(0, CLASSES, batch)
    return clips, labels
