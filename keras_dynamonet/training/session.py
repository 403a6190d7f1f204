"""From a model and a starting point to the end of the training."""

import functools
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from keras_dynamonet.data.bad_files import BadFileLog
from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.data.pipeline import evaluation_dataset, training_dataset
from keras_dynamonet.data.service import service_dataset
from keras_dynamonet.training.checkpoints import RunState
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.data_clock import DataClock
from keras_dynamonet.training.data_errors import original_errors
from keras_dynamonet.training.distribution import Distribution
from keras_dynamonet.training.recorder import Recorder, StopCheck
from keras_dynamonet.training.run_directory import RunDirectory
from keras_dynamonet.training.tensorboard_log import TensorBoardLog
from keras_dynamonet.training.throughput import Throughput, waiting_advice
from keras_dynamonet.training.training_data import TrainingData, make_augmentation
from keras_dynamonet.training.validation_data import validation_dataset

SHOWN_CLIPS = 3
"""Clips whose predicted frames go into the TensorBoard log."""


@dataclass
class Session:
    """One process's share of a run.

    Args:
        config: What to do.
        run: Where to keep it.
        data: What to learn from.
        model: Compiled, with its optimizer where `state` left it.
        spec: The clips that the model takes.
        state: Where the run is; kept up to date.
        distribution: How steps are shared out.
        bad_files: Collects the videos that cannot be read.
    """

    config: TrainConfig
    run: RunDirectory
    data: TrainingData
    model: keras.Model
    spec: ClipSpec
    state: RunState
    distribution: Distribution = field(default_factory=Distribution)
    bad_files: BadFileLog = field(default_factory=BadFileLog)

    def __post_init__(self):
        self._clock = None if self.distribution.reads_ahead else DataClock()

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to train or to validate."""
        state = self.state
        return state.epoch >= self.config.epochs and state.unvalidated is None

    def fit(self, callbacks: Iterable[keras.callbacks.Callback] = ()) -> None:
        """Trains to the end of the last epoch.

        Args:
            callbacks: Further callbacks. They find in `params`: `epochs`, `steps` of an
                epoch, `first_step`, the steps of the present epoch that an earlier
                process did, and `validation_steps`.

        Raises:
            UserError: If the data cannot be read.
            NonFiniteLossError: If the loss becomes NaN or infinite.
            TrainingInterrupted: If a signal asks to stop.
        """
        if self.is_finished:
            return
        state, epochs, callbacks = self.state, self.config.epochs, list(callbacks)
        with self.distribution.stop_request() as stop:
            recorder = Recorder(
                self.run,
                state,
                stop,
                validation=self._validation(),
                checkpoint_steps=self.config.checkpoint_steps,
                validation_callbacks=callbacks,
                distribution=self.distribution,
            )
            chain = keras.callbacks.CallbackList(
                [
                    self._throughput(),
                    recorder,
                    *([self._tensorboard()] if self.distribution.is_main else ()),
                    *callbacks,
                    StopCheck(recorder),
                ],
                add_history=True,
                model=self.model,
            )
            chain.set_params(self._params())
            with original_errors(self.bad_files), self.distribution.watch(self.run):
                if state.unvalidated is not None:
                    chain.on_train_begin()
                    chain.on_epoch_end(state.epoch, dict(state.unvalidated))
                    chain.on_train_end()
                if state.step_in_epoch and not self._was_stopped:
                    self._fit_epochs(chain, state.epoch + 1)
                # Keras forgets between two calls of `fit` that a callback has stopped.
                if state.epoch < epochs and not self._was_stopped:
                    chain.set_params(self._params())
                    self._fit_epochs(chain, epochs)

    @property
    def _was_stopped(self) -> bool:
        return getattr(self.model, "stop_training", False)

    def _fit_epochs(self, chain: keras.callbacks.CallbackList, epochs: int) -> None:
        """Goes on from `state`, in the middle of an epoch or not, up to `epochs`."""
        dataset = self._training()
        if self.config.task == "frames":
            dataset = dataset.map(lambda clips, labels: clips)
        with warnings.catch_warnings():
            # Frames alone teach only what their filters come from; the run says so.
            warnings.filterwarnings("ignore", "Gradients do not exist")
            self.model.fit(
                self._clock.attach(dataset) if self._clock else dataset,
                initial_epoch=self.state.epoch,
                epochs=epochs,
                steps_per_epoch=self.state.steps_per_epoch - self.state.step_in_epoch,
                callbacks=chain,
                shuffle=False,  # the dataset has an order of its own
                verbose=0,
            )

    def _training(self) -> tf.data.Dataset:
        stream = {
            "batch_size": self.config.batch_size,
            "seed": self.config.seed,
            "augmentation": make_augmentation(self.config),
            "labelled_share": self.config.labelled_share,
            "start_step": self.state.step,
            "process_index": self.distribution.process_index,
            "process_count": self.distribution.num_processes,
        }
        if self.config.data_service is not None:
            service = self.config.data_service
            return service_dataset(
                self.data.train, self.spec, service=service, **stream
            )
        return training_dataset(
            self.data.train,
            self.spec,
            **stream,
            bad_files=self.config.bad_files,
            max_bad_share=self.config.max_bad_share,
            workers=self.config.workers,
            bad_file_log=self.bad_files,
        )

    def _validation(self) -> tf.data.Dataset | None:
        if self.data.validation is None:
            return None
        dataset = validation_dataset(
            self.data.validation,
            self.spec,
            batch_size=self.config.batch_size,
            bad_files="raise" if self.config.bad_files == "raise" else "skip",
            max_bad_share=self.config.max_bad_share,
            workers=self.config.workers,
            bad_file_log=self.bad_files,
            process_index=self.distribution.process_index,
            process_count=self.distribution.num_processes,
        )
        return dataset

    def _throughput(self) -> Throughput:
        advice = functools.partial(
            waiting_advice, self.data.train, self.spec.size, self.config.data_service
        )
        return Throughput(self._clock, self.config.batch_size, advice=advice)

    def _tensorboard(self) -> TensorBoardLog:
        return TensorBoardLog(
            self.run.tensorboard,
            steps_per_epoch=self.state.steps_per_epoch,
            first_step=self.state.step,
            clips=self._clips_to_show(),
            distribution=self.distribution,
        )

    def _clips_to_show(self) -> np.ndarray | None:
        """Middle clips of a few videos, evenly spread over the classes."""
        manifest = self.data.validation or self.data.train
        spread = np.linspace(0, len(manifest) - 1, SHOWN_CLIPS).round().astype(int)
        bad_files = BadFileLog()
        dataset = evaluation_dataset(
            manifest.subset(np.unique(spread)),
            self.spec,
            batch_size=SHOWN_CLIPS,
            max_bad_share=1.0,
            bad_file_log=bad_files,
        )
        with original_errors(bad_files):
            return next((clips.numpy() for clips, *_ in dataset), None)

    def _params(self) -> dict[str, int]:
        validation = self.data.validation
        return {
            "epochs": self.config.epochs,
            "steps": self.state.steps_per_epoch,
            "first_step": self.state.step_in_epoch,
            "validation_steps": (
                math.ceil(len(validation) / self.config.batch_size) if validation else 0
            ),
        }
