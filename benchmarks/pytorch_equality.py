"""Every importable architecture at its full size against PyTorch, as a table.

Random weights are saved by PyTorch, imported, and both networks run on two clips of
16x112x112 pixels in evaluation. Shown is the largest difference of any endpoint (stem,
four stages, feature, logits), relative to the largest number in it. Needs PyTorch;
takes about a minute an architecture on two cores.

    python -m benchmarks.pytorch_equality [ARCHITECTURE ...]
"""

import gc
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import torch

from keras_dynamonet.weights import ARCHITECTURES, import_checkpoint
from keras_dynamonet.weights.pixels import PIXELS
from tests.weights.networks import channels_last, normalised, random_clips
from tests.weights.torch_networks import HaraNet, TranNet, randomise

TOLERANCE = 1e-4


def reference(config):
    """The network of the tests with the sizes of an architecture."""
    if config["stem"] in ("3x7x7", "small (2+1)d"):
        return TranNet(config["convolution"])
    names = ("block", "expansion", "cardinality", "pre_activation", "shortcut")
    return HaraNet(
        config["blocks"],
        config["widths"],
        stem_width=config["stem_width"],
        factorised=config["convolution"][0] == "(2+1)d",
        **{name: config[name] for name in names},
    )


def compare(name, folder):
    """Name of the endpoint with the largest relative difference, and that."""
    network = randomise(reference(ARCHITECTURES[name]))
    torch.save(network.state_dict(), folder / "net.pth")
    imported = import_checkpoint(folder / "net.pth")
    assert imported.architecture.config == {
        **ARCHITECTURES[name],
        "num_classes": 400,
    }
    clips = random_clips(frames=16, size=112)
    with torch.no_grad():
        expected = network.endpoints(normalised(clips, PIXELS[imported.pixels]))
    model = imported.model
    ends = {**model.endpoints, "logits": model.outputs[0]}
    found = keras.Model(model.inputs[0], ends)(clips)
    errors = {}
    for end, tensor in expected.items():
        array = channels_last(tensor)
        difference = keras.ops.convert_to_numpy(found[end]) - array
        errors[end] = np.abs(difference).max() / np.abs(array).max()
    return max(errors.items(), key=lambda item: item[1])


def main(names):
    print("| architecture | largest difference | at | seconds |")
    print("| --- | --- | --- | --- |")
    worst = 0.0
    for name in names or ARCHITECTURES:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            end, error = compare(name, Path(folder))
        worst = max(worst, error)
        seconds = time.monotonic() - start
        print(f"| {name} | {error:.1e} | {end} | {seconds:.0f} |", flush=True)
        keras.utils.clear_session()
        gc.collect()
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
