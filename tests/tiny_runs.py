"""The smallest sensible training runs, shared by tests."""

import json
import zipfile
from pathlib import Path

import numpy as np

from keras_dynamonet.training.checkpoints import STATE_MEMBER, load_checkpoint
from keras_dynamonet.training.config import TrainConfig

MODEL = {
    "kernel_size": 3,
    "dropout": 0.2,
    "backbone": {"widths": [4, 4, 8, 8], "stem_width": 4, "cardinality": 2},
}


def tiny_config(data: Path, run_dir: Path, **changes) -> TrainConfig:
    """Clips of 4 frames of 16x16 pixels, 4 a step, a network of a few thousand weights.

    Dropout is on, so that a resumed run must restore the random state, too.
    """
    settings = {
        "size": 16,
        "num_frames": 4,
        "epochs": 2,
        "batch_size": 4,
        "warmup_epochs": 0.5,
        "workers": 2,
        "model": MODEL,
        **changes,
    }
    return TrainConfig(data=str(data), run_dir=str(run_dir), **settings)


def assert_equal_runs(first: Path, second: Path) -> None:
    """Fails unless two checkpoints hold the same weights, optimizer and losses."""
    weights = [load_checkpoint(path)[0].get_weights() for path in (first, second)]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
    states = [_read_state(path) for path in (first, second)]
    for state in states:
        del state["run"]["seconds"]
        for row in state["run"]["history"]:
            del row["clips_per_second"], row["data_wait_share"]
    assert states[0] == states[1]
    assert _optimizer(first) == _optimizer(second)


def _read_state(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(STATE_MEMBER))


def _optimizer(path: Path) -> dict[str, list]:
    """All optimizer variables of a checkpoint, read from the file itself."""
    import io

    import h5py

    with zipfile.ZipFile(path) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as file:
        variables = file["optimizer/vars"]
        assert len(variables) > 2
        return {name: variables[name][()].tolist() for name in variables}
