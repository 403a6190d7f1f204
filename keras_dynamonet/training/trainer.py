"""The training program: from a configuration to a trained model in a run's folder."""

import contextlib
import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from keras_dynamonet.errors import UserError
from keras_dynamonet.files import remove_leftovers
from keras_dynamonet.training.checkpoints import (
    RunState,
    load_checkpoint,
    restore_optimizer,
)
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.model_setup import build_model, compile_model
from keras_dynamonet.training.run_directory import (
    RunDirectory,
    describe_environment,
    load_run_config,
)
from keras_dynamonet.training.session import Session
from keras_dynamonet.training.training_data import (
    TrainingData,
    clip_spec,
    load_training_data,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Args:
        run: Its folder.
        history: One row an epoch, `{"epoch": 1, "loss": 2.1, ...}`.
        best_epoch: Number of the best epoch, counted from 1.
        steps: Training steps.
        seconds: Wall-clock time, of all processes that worked on it together.
        bad_files: Number of videos that could not be read.
    """

    run: RunDirectory
    history: list[dict[str, float]]
    best_epoch: int
    steps: int
    seconds: float
    bad_files: int

    @property
    def best(self) -> dict[str, float]:
        """The history's row of the best epoch."""
        return self.history[self.best_epoch - 1]


def train(
    config: TrainConfig,
    *,
    overwrite: bool = False,
    callbacks: Iterable[keras.callbacks.Callback] = (),
) -> RunResult:
    """Trains a model from video files, and keeps everything in a run's folder.

    Ctrl-C and SIGTERM write a checkpoint first; :func:`resume` goes on from it and
    ends with the weights that an uninterrupted run would have had.

    Args:
        config: What to do.
        overwrite: Whether to replace an earlier run in the same folder.
        callbacks: Further Keras callbacks, e.g. a progress bar. Logs carry
            `clips_per_second` and `data_wait_share` beside losses and metrics.

    Returns:
        The outcome.

    Raises:
        UserError: If the configuration does not fit the data or the model.
        NonFiniteLossError: If the loss becomes NaN or infinite; names the step.
        TrainingInterrupted: If a signal asks to stop.

    Example:

    ```python
    config = TrainConfig(data="videos", run_dir="runs/first", epochs=10)
    result = train(config)
    print(result.best["val_accuracy"])
    ```
    """
    run = RunDirectory(config.run_dir)
    run.check_free(overwrite=overwrite)
    _prepare_process(config)
    data = load_training_data(config)
    with _precision(config.precision):
        model = build_model(config, data.class_names)
        spec = clip_spec(config, model)
        logger.info(
            "%s parameters; a clip has %d + 1 frames of %d x %d pixels, %s",
            f"{model.count_params():,}",
            *(spec.num_frames, spec.size, spec.size),
            f"{spec.fps:g} a second" if spec.fps else f"1 of {spec.stride} of a video",
        )
        state = RunState(
            steps_per_epoch=math.ceil(len(data.train) / config.batch_size),
            data_fingerprint=data.train.fingerprint(),
        )
        compile_model(model, config, state.steps_per_epoch)
        # All that can be wrong with the arguments was found by now.
        run.start()
        config.save(run.config)
        run.write_json(run.environment, _describe(data, model))
        run.write_videos({"train": data.train, "validation": data.validation})
        return _finish(Session(config, run, data, model, spec, state), callbacks)


def resume(
    run_dir: str | Path, *, callbacks: Iterable[keras.callbacks.Callback] = ()
) -> RunResult:
    """Goes on with a run that was stopped or killed, from its last checkpoint.

    A finished run is left as it is. A run without a checkpoint starts from the
    beginning.

    Args:
        run_dir: Folder of the run.
        callbacks: As for :func:`train`.

    Returns:
        The outcome.

    Raises:
        UserError: If there is no run, or its data has changed since.
    """
    run = RunDirectory(run_dir)
    config = load_run_config(run)
    if not run.last.exists():
        logger.warning("%s has no checkpoint: starting from the beginning", run.path)
        return train(config, overwrite=True, callbacks=callbacks)
    remove_leftovers(run.path)
    _prepare_process(config)
    data = load_training_data(config)
    with _precision(config.precision):
        model, state = load_checkpoint(run.last)
        if data.train.fingerprint() != state.data_fingerprint:
            raise UserError(
                f"{config.data}: has changed since {run.path} was started, so the run "
                "cannot go on as it began. Start a new one from its weights with "
                f"--init {run.path}."
            )
        compile_model(model, config, state.steps_per_epoch)
        restore_optimizer(run.last, model)
        spec = clip_spec(config, model)
        return _finish(Session(config, run, data, model, spec, state), callbacks)


def _finish(
    session: Session, callbacks: Iterable[keras.callbacks.Callback]
) -> RunResult:
    """Trains to the end and sums up."""
    run, state = session.run, session.state
    try:
        session.fit(callbacks)
    finally:
        run.add_bad_files(session.bad_files.as_dict())
        if len(session.bad_files):
            logger.warning("%s", session.bad_files.summary())
    return RunResult(
        run=run,
        history=state.history,
        best_epoch=state.best_epoch,
        steps=state.step,
        seconds=state.seconds,
        bad_files=len(session.bad_files),
    )


def _prepare_process(config: TrainConfig) -> None:
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Layers made inside compute in another number format."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _describe(data: TrainingData, model: keras.Model) -> dict:
    """Where the run came from, for `environment.json`."""
    train, validation = data.train, data.validation
    return {
        **describe_environment(),
        "classes": data.class_names,
        "parameters": model.count_params(),
        "training_videos": len(train),
        "training_labelled": train.num_labelled,
        "training_fingerprint": train.fingerprint(),
        "validation_videos": len(validation) if validation else 0,
        "validation_fingerprint": validation.fingerprint() if validation else None,
    }
