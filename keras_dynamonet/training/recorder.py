"""Keeps the folder of a run true to the run."""

import dataclasses
import math
import time
from collections.abc import Iterable, Mapping

import keras
import tensorflow as tf

from keras_dynamonet.errors import UserError
from keras_dynamonet.training.checkpoints import (
    RunState,
    first_non_finite_weight,
    restore_metrics,
    save_checkpoint,
    save_for_inference,
)
from keras_dynamonet.training.distribution import Distribution
from keras_dynamonet.training.interruption import StopRequest, TrainingInterrupted
from keras_dynamonet.training.run_directory import RunDirectory


class NonFiniteLossError(UserError):
    """The loss or a weight became NaN or infinite. Names the step."""


class Recorder(keras.callbacks.Callback):
    """Validates, writes checkpoints and history, stops on NaN or if `StopCheck` asks.

    Validation happens here rather than in `fit`, so that a run stopped in the middle of
    it can make up for it when it goes on.

    Args:
        run: The folder of the run.
        state: Where the run is; kept up to date.
        stop: Asked between steps whether to stop.
        validation: Finite dataset as `evaluate` takes it, or `None`.
        checkpoint_steps: Steps between checkpoints, beside one at each epoch's end.
        validation_callbacks: Told of each step of validation.
        distribution: How steps are shared out; the main process alone writes.
    """

    def __init__(
        self,
        run: RunDirectory,
        state: RunState,
        stop: StopRequest,
        *,
        validation: tf.data.Dataset | None = None,
        checkpoint_steps: int | None = None,
        validation_callbacks: Iterable[keras.callbacks.Callback] = (),
        distribution: Distribution | None = None,
    ):
        super().__init__()
        self._run = run
        self._state = state
        self._stop = stop
        self._validation = validation
        self._checkpoint_steps = checkpoint_steps
        self._validation_callbacks = [*validation_callbacks, StopCheck(self)]
        self._distribution = distribution or Distribution()
        self._first_step = state.step_in_epoch
        self._restore_metrics = state.step_in_epoch > 0 and not state.unvalidated
        self._started = time.monotonic() - state.seconds

    def on_epoch_begin(self, epoch, logs=None):
        if self._restore_metrics:  # Keras has just reset them
            restore_metrics(self._run.last, self.model)
            self._restore_metrics = False

    def on_train_batch_end(self, batch, logs=None):
        state, before = self._state, self._state.step
        state.step_in_epoch = self._first_step + batch + 1
        if not math.isfinite(logs["loss"]):
            raise NonFiniteLossError(self._stopped_by("the loss", before))
        every = self._checkpoint_steps
        passed = every and state.step // every > before // every
        if passed and not self.epoch_is_over:
            self._save()

    def on_epoch_end(self, epoch, logs=None):
        state = self._state
        if not self.epoch_is_over:  # a callback has ended it
            self._save()
            return
        self._check_weights()
        if self._validation is not None:
            state.unvalidated = dict(logs)
            self.stop_if_requested()
            logs.update(self._validate())
        state.unvalidated = None
        state.epoch, state.step_in_epoch, self._first_step = epoch + 1, 0, 0
        state.history.append({"epoch": epoch + 1, **logs})
        score = epoch_score(logs)
        if state.best_score is None or score > state.best_score:
            state.best_score, state.best_epoch = score, epoch + 1
            if self._distribution.is_main:
                with self._distribution.local():
                    save_for_inference(self._run.best, self.model)
        # The checkpoint comes last: a run killed before it ends this epoch once more.
        self._save()

    def _validate(self) -> dict[str, float]:
        # Made here, for Keras would give the callbacks parameters of its own.
        chain = keras.callbacks.CallbackList(
            self._validation_callbacks, model=self.model
        )
        chain.set_params(self.params)
        results = self.model.evaluate(
            self._validation, callbacks=chain, return_dict=True, verbose=0
        )
        return {f"val_{name}": value for name, value in results.items()}

    @property
    def epoch_is_over(self) -> bool:
        """Whether all steps of the epoch are done; its end looks after itself."""
        return self._state.step_in_epoch == self._state.steps_per_epoch

    def stop_if_requested(self) -> None:
        """Writes a checkpoint and raises, if a signal has asked to stop.

        Raises:
            TrainingInterrupted: If so.
        """
        if self._stop.requested:
            self._save()
            self.leave_if_requested()

    def leave_if_requested(self) -> None:
        """As :meth:`stop_if_requested`, where the checkpoint is written already.

        Raises:
            TrainingInterrupted: If so.
        """
        if self._stop.requested:
            # Who leaves while the checkpoint is written gets the writer killed.
            self._distribution.wait_for_all("the checkpoint")
            raise TrainingInterrupted(
                f"stopped at step {self._state.step}, epoch {self._state.epoch + 1}. "
                f"Go on with: dynamonet train --resume {self._run.path}"
            )

    def _save(self) -> None:
        self._check_weights()
        state = self._state
        state.seconds = time.monotonic() - self._started
        if not self._distribution.is_main:
            return
        # Keras makes variables while it saves; shared out, they would wait for the
        # other processes.
        with self._distribution.local():
            save_checkpoint(self._run.last, self.model, state)
        self._run.write_history(state.history)
        summary = {**dataclasses.asdict(state), "step": state.step}
        del summary["history"]
        self._run.write_json(self._run.state, summary)

    def _check_weights(self) -> None:
        weight = first_non_finite_weight(self.model)
        if weight:
            raise NonFiniteLossError(
                self._stopped_by(f"the weight {weight}", self._state.step - 1)
            )

    def _stopped_by(self, what: str, before: int) -> str:
        first, last = before + 1, self._state.step
        steps = f"step {last}" if first >= last else f"steps {first} to {last}"
        message = f"{steps}, epoch {self._state.epoch + 1}: {what} is not finite."
        if self._run.last.exists():
            message += f" {self._run.last} is the last good checkpoint."
        return f"{message} Try a lower --learning-rate or --precision float32."


class StopCheck(keras.callbacks.Callback):
    """Lets a signal stop training and validation between two steps or epochs.

    Args:
        recorder: Writes the checkpoint; stands before, this one after all callbacks
            that are to be told of the last step or epoch.
    """

    def __init__(self, recorder: Recorder):
        super().__init__()
        self._recorder = recorder

    def on_train_batch_end(self, batch, logs=None):
        if not self._recorder.epoch_is_over:
            self._recorder.stop_if_requested()

    def on_test_batch_end(self, batch, logs=None):
        self._recorder.stop_if_requested()

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 < self.params["epochs"]:
            self._recorder.leave_if_requested()


def epoch_score(logs: Mapping[str, float]) -> list[float]:
    """Score of an epoch; of two, the greater one is better.

    Validation accuracy decides and validation loss breaks ties. Without labels the loss
    decides, without validation that of training.

    Example:

    >>> epoch_score({"loss": 1.0, "val_loss": 2.0, "val_accuracy": 0.5})
    [0.5, -2.0]
    >>> epoch_score({"loss": 1.0})
    [-1.0]
    """
    loss = logs.get("val_loss", logs["loss"])
    score = [-loss if math.isfinite(loss) else -math.inf]
    if "val_accuracy" in logs:
        score.insert(0, logs["val_accuracy"])
    return score
