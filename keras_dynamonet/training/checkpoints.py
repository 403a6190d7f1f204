"""Checkpoints that hold everything a run needs to go on as if never stopped.

A checkpoint is one `.keras` file: model and optimizer as Keras writes them, and beside
them in the archive what Keras leaves out: where the run is, its history, the running
means of the metrics, and the state of the random generators. One file, renamed into
place, so that a run killed at any moment leaves a checkpoint that agrees with itself.
"""

import dataclasses
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_dynamonet.errors import UserError
from keras_dynamonet.files import atomic_path
from keras_dynamonet.models.loading import load_model

STATE_MEMBER = "training_state.json"


@dataclass
class RunState:
    """Where a run is.

    Args:
        epoch: Epochs that are complete, validation included.
        step_in_epoch: Training steps done in the epoch after those.
        steps_per_epoch: Training steps of one epoch.
        history: One row an epoch, `{"epoch": 1, "loss": 2.1, ...}`.
        best_score: Score of the best epoch, higher is better, compared in order.
        best_epoch: Number of that epoch, counted from 1.
        unvalidated: Training losses of an epoch whose validation was cut short.
        data_fingerprint: Fingerprint of the training videos.
        seconds: Wall-clock time spent so far.

    Example:

    >>> RunState(epoch=2, step_in_epoch=5, steps_per_epoch=100).step
    205
    """

    steps_per_epoch: int
    epoch: int = 0
    step_in_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_score: list[float] | None = None
    best_epoch: int | None = None
    unvalidated: dict[str, float] | None = None
    data_fingerprint: str = ""
    seconds: float = 0.0

    @property
    def step(self) -> int:
        """Training steps since the start of the run."""
        return self.epoch * self.steps_per_epoch + self.step_in_epoch


def save_checkpoint(path: Path, model: keras.Model, state: RunState) -> None:
    """Writes model, optimizer and `state` to one file, whole or not at all.

    Args:
        path: The checkpoint, ending in `.keras`.
        model: A compiled model between two training steps.
        state: Where the run is.

    Raises:
        UserError: If the file cannot be written, e.g. on a full disk.
    """
    document = {
        "run": dataclasses.asdict(state),
        "metrics": [_to_list(variable) for variable in model.metrics_variables],
        "random": [_to_list(variable) for variable in _random_state(model)],
    }
    try:
        with atomic_path(path) as temporary:
            model.save(temporary)
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(STATE_MEMBER, json.dumps(document))
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error}.") from error


def load_checkpoint(path: Path) -> tuple[keras.Model, RunState]:
    """Reads the model, not yet compiled, and the state of a run.

    Compile the model and call :func:`restore_optimizer` to go on training.

    Raises:
        UserError: If the file is missing, broken, or holds a model without a run.
    """
    document = _read_state(path)
    model = load_model(path, compile=False)
    for variable, value in zip(_random_state(model), document["random"], strict=True):
        variable.assign(np.asarray(value, "int64").astype(variable.dtype))
    return model, RunState(**document["run"])


def restore_optimizer(path: Path, model: keras.Model) -> None:
    """Gives a compiled model the optimizer variables of its checkpoint."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    random = _read_state(path)["random"]
    for variable, value in zip(_random_state(model), random, strict=True):
        variable.assign(np.asarray(value, "int64").astype(variable.dtype))


def restore_metrics(path: Path, model: keras.Model) -> None:
    """Sets the running means of the metrics to those of a checkpoint.

    Call it after Keras has reset them at the start of the epoch.
    """
    saved = _read_state(path)["metrics"]
    for variable, value in zip(model.metrics_variables, saved, strict=True):
        variable.assign(np.asarray(value).astype(variable.dtype))


def inference_copy(model: keras.Model) -> keras.Model:
    """Architecture and weights alone, without optimizer or distribution."""
    copy = type(model).from_config(model.get_config())
    if not copy.built:
        copy.build_from_config(model.get_build_config())
    copy.set_weights(model.get_weights())
    return copy


def save_for_inference(path: Path, model: keras.Model) -> None:
    """Writes architecture and weights alone: about a third of a checkpoint."""
    copy = inference_copy(model)
    with atomic_path(path) as temporary:
        copy.save(temporary)


def first_non_finite_weight(model: keras.Model) -> str | None:
    """Path of a weight that holds NaN or infinity, or `None`."""
    for variable in model.trainable_variables:
        if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
            return variable.path
    return None


def _read_state(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(STATE_MEMBER))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint.") from error
    except KeyError as error:
        raise UserError(
            f"{path}: holds a model, but no run to go on with. Start a new run from "
            "its weights with --init."
        ) from error
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise UserError(f"{path}: is no readable checkpoint: {error}.") from error


def _random_state(model: keras.Model) -> list[keras.Variable]:
    """States of the random generators in `model`, which Keras does not save."""
    return [v for v in model.variables if v.path.endswith("seed_generator_state")]


def _to_list(variable: keras.Variable) -> Any:
    return keras.ops.convert_to_numpy(variable).tolist()
