"""What the contestants of the inference benchmark do: batches of uint8 clips to logits.

Each function loads one network of :mod:`benchmarks.artefacts` and returns its work.
"""

import json
from pathlib import Path

import numpy as np

from benchmarks.artefacts import noise_clips
from benchmarks.contestant import Work

LOGITS = "logits"


def artefact(folder: str, file: str, runtime: str, batch: int, threads: int) -> Work:
    """A file in one of the runtimes of `dynamonet benchmark`."""
    from keras_dynamonet.exporters.runtimes import load

    loaded = load(runtime, str(Path(folder) / file), threads)
    clips = _clips(folder, batch)

    def outputs():
        return {LOGITS: np.asarray(loaded.run(clips)[LOGITS])}

    return Work(lambda: loaded.run(clips), outputs, loaded.runtime, batch)


def keras_model(folder: str, batch: int, threads: int) -> Work:
    """The classifier as trained, without folding.

    Args:
        folder: Of the artefacts.
        batch: Clips.
        threads: Limited from outside.
    """
    import keras

    from keras_dynamonet import load_model

    model = load_model(Path(folder) / "classifier.keras", compile=False)
    clips = _clips(folder, batch)

    def step():
        return model.predict(clips, batch_size=batch, verbose=0)

    backend = keras.backend.backend()
    runtime = f"keras {keras.__version__} on {backend}"
    return Work(step, lambda: {LOGITS: step()}, runtime, batch)


def pytorch(
    folder: str, batch: int, threads: int, memory: str = "contiguous", mode="eager"
) -> Work:
    """The same network in PyTorch, in inference mode.

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
    network = load_network(folder).eval()
    if memory == "channels_last":
        network = network.to(memory_format=torch.channels_last_3d)
    if mode == "compiled":
        network = torch.compile(network)
    clips = _clips(folder, batch)

    def step():
        with torch.inference_mode():
            return network(torch.from_numpy(clips)).numpy()

    runtime = f"torch {torch.__version__} {mode}, {memory}"
    return Work(step, lambda: {LOGITS: step()}, runtime, batch)


def _clips(folder, batch):
    config = json.loads((Path(folder) / "config.json").read_text())
    return noise_clips(batch, (config["num_frames"], *config["size"], 3), seed=1)
