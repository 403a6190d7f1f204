"""The training program: from a configuration to a trained model in a run's folder."""

import contextlib
import dataclasses
import json
import logging
import math
import os
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
from keras_dynamonet.training.distribution import Distribution
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
        bad_files: Number of videos that this process could not read.
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
    distribution: Distribution | None = None,
) -> RunResult:
    """Trains a model from video files, and keeps everything in a run's folder.

    Ctrl-C and SIGTERM write a checkpoint first; :func:`resume` goes on from it and
    ends with the weights that an uninterrupted run would have had.

    Args:
        config: What to do.
        overwrite: Whether to replace an earlier run in the same folder.
        callbacks: Further Keras callbacks, e.g. a progress bar. Logs carry
            `clips_per_second` and `data_wait_share` beside losses and metrics.
        distribution: How steps are shared out over devices and processes, as
            `machines.join` gives it. Default: one process, one device.

    Returns:
        The outcome.

    Raises:
        UserError: If the configuration does not fit the data or the model.
        NonFiniteLossError: If the loss becomes NaN or infinite; names the step.
        TrainingInterrupted: If a signal asks to stop.
        LostProcessError: If another process of the run was lost.

    Example:

    ```python
    config = TrainConfig(data="videos", run_dir="runs/first", epochs=10)
    result = train(config)
    print(result.best["val_accuracy"])
    ```
    """
    distribution = distribution or Distribution()
    distribution.check(config)
    run = RunDirectory(config.run_dir)
    run.check_free(overwrite=overwrite)
    with distribution.active():
        _prepare_process(config)
        data = load_training_data(config)
        with _precision(config.precision), distribution.scope():
            model = build_model(config, data.class_names)
            spec = clip_spec(config, model)
            logger.info(
                "%s parameters; a clip has %d + 1 frames of %d x %d pixels, %s",
                f"{model.count_params():,}",
                *(spec.num_frames, spec.size, spec.size),
                f"{spec.fps:g} a second"
                if spec.fps
                else f"1 of {spec.stride} of a video",
            )
            state = RunState(
                steps_per_epoch=math.ceil(len(data.train) / config.batch_size),
                data_fingerprint=data.train.fingerprint(),
            )
            compile_model(model, config, state.steps_per_epoch)
            distribution.prepare_optimizer(model.optimizer)
        # All that can be wrong with the arguments was found by now, by every process.
        _check_agreement(distribution, config, data, state)
        if distribution.is_main:
            run.start()
            _from_anywhere(config).save(run.config)
            description = _describe(data, model, distribution.describe(config))
            run.write_json(run.environment, description)
            run.write_videos({"train": data.train, "validation": data.validation})
        session = Session(config, run, data, model, spec, state, distribution)
        return _finish(session, callbacks)


def resume(
    run_dir: str | Path,
    *,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    distribution: Distribution | None = None,
) -> RunResult:
    """Goes on with a run that was stopped or killed, from its last checkpoint.

    A finished run is left as it is. A run without a checkpoint starts from the
    beginning.

    Args:
        run_dir: Folder of the run, which all processes see.
        callbacks: As for :func:`train`.
        distribution: As for :func:`train`; it may be another one than before.

    Returns:
        The outcome.

    Raises:
        UserError: If there is no run, its data has changed since, or it has results
            but no checkpoint.
    """
    distribution = distribution or Distribution()
    run = RunDirectory(run_dir)
    config = load_run_config(run)
    distribution.check(config)
    begun = run.last.exists()
    distribution.check_agreement("The checkpoint", str(begun))
    if not begun:
        if run.read_history():
            raise UserError(
                f"{run.path}: has results, but no {run.last.name} to go on from. Start "
                f"another run from its weights with --init {run.path}, or replace it "
                "with --overwrite."
            )
        logger.warning("%s has no checkpoint: starting from the beginning", run.path)
        return train(
            config, overwrite=True, callbacks=callbacks, distribution=distribution
        )
    if distribution.is_main:
        remove_leftovers(run.path)
    with distribution.active():
        _prepare_process(config)
        data = load_training_data(config)
        with _precision(config.precision), distribution.scope():
            model, state = load_checkpoint(run.last)
            changed = _changed_data(config, data, state, run)
            if changed is not None:
                raise UserError(
                    f"{changed}: has changed since {run.path} was started, so the "
                    "run cannot go on as it began. Start a new one from its weights "
                    f"with --init {run.path}."
                )
            compile_model(model, config, state.steps_per_epoch)
            distribution.prepare_optimizer(model.optimizer)
            restore_optimizer(run.last, model)
        _check_agreement(distribution, config, data, state)
        spec = clip_spec(config, model)
        session = Session(config, run, data, model, spec, state, distribution)
        if distribution.is_main and not session.is_finished:
            run.add_resumption(state.step, distribution.describe(config))
        return _finish(session, callbacks)


def _changed_data(
    config: TrainConfig, data: TrainingData, state: RunState, run: RunDirectory
) -> str | None:
    """What a run would train or validate on that is other than when it began."""
    if data.train.fingerprint() != state.data_fingerprint:
        return " or ".join(filter(None, (config.data, config.unlabelled)))
    now = data.validation.fingerprint() if data.validation else None
    # Runs of a time when it was not noted go on.
    if run.read_environment().get("validation_fingerprint", now) != now:
        return config.validation or config.data
    return None


def _finish(
    session: Session, callbacks: Iterable[keras.callbacks.Callback]
) -> RunResult:
    """Trains to the end and sums up."""
    run, state = session.run, session.state
    try:
        session.fit(callbacks)
    finally:
        process_index = session.distribution.process_index
        run.add_bad_files(session.bad_files.as_dict(), process_index)
        if len(session.bad_files):
            logger.warning("%s", session.bad_files.summary())
    # The main process is writing the last checkpoint while the others are done.
    session.distribution.wait_for_all("the end of the run")
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


def _from_anywhere(config: TrainConfig) -> TrainConfig:
    """The same settings for a run that is resumed from another working folder."""
    named = ("data", "video_root", "validation", "unlabelled", "init")
    paths = {name: getattr(config, name) for name in named}
    return dataclasses.replace(
        config,
        **{k: os.path.abspath(v) for k, v in paths.items() if v and os.path.exists(v)},
    )


def _check_agreement(
    distribution: Distribution,
    config: TrainConfig,
    data: TrainingData,
    state: RunState,
) -> None:
    """Refuses processes that would train on other data or with other settings."""
    settings = dataclasses.replace(
        config, run_dir="", data="", video_root=None, workers=None
    )
    distribution.check_agreement("The settings", json.dumps(settings.to_dict()))
    distribution.check_agreement("The training videos", state.data_fingerprint)
    held_out = data.validation.fingerprint() if data.validation is not None else ""
    distribution.check_agreement("The validation videos", held_out)
    distribution.check_agreement("The step to go on from", str(state.step))


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Layers made inside compute in another number format."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _describe(data: TrainingData, model: keras.Model, distribution: dict) -> dict:
    """Where the run came from, for `environment.json`."""
    train, validation = data.train, data.validation
    return {
        **describe_environment(),
        "distribution": distribution,
        "classes": data.class_names,
        "parameters": model.count_params(),
        "training_videos": len(train),
        "training_labelled": train.num_labelled,
        "training_fingerprint": train.fingerprint(),
        "validation_videos": len(validation) if validation else 0,
        "validation_fingerprint": validation.fingerprint() if validation else None,
    }
