"""How the losses of several tasks become one."""

import keras
from keras import ops

LOSS_WEIGHTINGS = ("fixed", "warm_up", "uncertainty")
TASKS = ("action", "frame", "teacher")


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class LossWeighting(keras.layers.Layer):
    """Sums the losses of the tasks, with the state that this takes.

    With `L` the loss of a task and `w` its weight:

    - `"fixed"`: `sum of w * L`.
    - `"warm_up"`: the same, but in step n of the training the action loss counts
      `min(1, n / warmup_steps)` of its weight, so that frames are learnt first.
    - `"uncertainty"`: `sum of w * (exp(-s) * L + s)` with a learnt logarithm of a
      variance `s` for each task, 0 at first. At its best, `s = log(L)`, each task
      counts by its own scale. The optimizer moves `s` there by about its learning rate
      a step.

    The state belongs to the training: it is no part of the network's `weights`, but is
    saved with the model and restored with its optimizer.

    Reference:
        Kendall et al., *Multi-Task Learning Using Uncertainty to Weigh Losses*, CVPR
        2018, section 3.2: `s` is `log sigma^2`, for all tasks with the same factors.

    Example:

    >>> weighting = LossWeighting()
    >>> weighting.prepare("warm_up", warmup_steps=4)
    >>> losses = {"action": ops.ones(()), "frame": ops.ones(())}
    >>> weights = {"action": 1.0, "frame": 1.0}
    >>> [float(weighting.total(losses, weights, training=True)) for _ in range(6)]
    [1.0, 1.25, 1.5, 1.75, 2.0, 2.0]
    """

    def __init__(self, **kwargs):
        super().__init__(**{"name": "loss_weighting", **kwargs, "dtype": "float32"})
        self.kind = "fixed"
        self.warmup_steps = 1
        self.build(())

    def build(self, input_shape):
        # TensorFlow records no gradients to variables that are made as constants.
        self.log_variances = self.add_weight(
            shape=(len(TASKS),),
            initializer="zeros",
            name="log_variances",
        )
        self.steps_seen = self.add_weight(
            shape=(),
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name="steps_seen",
        )
        self.log_variances.trainable = False

    @property
    def trainable(self):
        return super().trainable

    @trainable.setter
    def trainable(self, value):
        # Keras thaws all weights of a layer: those that no loss uses are to stay.
        keras.layers.Layer.trainable.fset(self, value)
        self.log_variances.trainable = bool(value) and self.kind == "uncertainty"

    def prepare(self, kind, warmup_steps=1):
        """Starts afresh with a weighting.

        Args:
            kind: One of `LOSS_WEIGHTINGS`.
            warmup_steps: Steps until the action loss has its whole weight.

        Raises:
            ValueError: If `kind` is unknown, or `warmup_steps` is below 1.
        """
        if kind not in LOSS_WEIGHTINGS:
            raise ValueError(
                f"`loss_weighting` must be one of {LOSS_WEIGHTINGS}. Received: {kind!r}"
            )
        if warmup_steps < 1:
            raise ValueError(
                "`loss_warmup_steps` must be at least 1. "
                f"Received: loss_warmup_steps={warmup_steps}"
            )
        self.kind = kind
        self.warmup_steps = warmup_steps
        self.log_variances.trainable = kind == "uncertainty"
        for variable in self._state():
            variable.assign(ops.zeros(variable.shape))

    def total(self, losses, weights, training):
        """The sum.

        Args:
            losses: A number for each task that there is, by its name of `TASKS`.
            weights: A number for each task.
            training: Whether this is a training step, which counts. Otherwise all
                tasks have their whole weight, so that losses of validation compare
                from epoch to epoch.
        """
        if self.kind == "uncertainty":
            losses = {name: self._scaled(name, loss) for name, loss in losses.items()}
        elif self.kind == "warm_up" and training:
            share = ops.minimum(self.steps_seen / self.warmup_steps, 1.0)
            weights = {**weights, "action": share * weights["action"]}
            self.steps_seen.assign_add(1.0)
        return sum(weights[name] * loss for name, loss in losses.items())

    def _scaled(self, name, loss):
        log_variance = self.log_variances[TASKS.index(name)]
        # A task that is absent from a batch has no loss: it says nothing of its scale.
        present = ops.cast(loss > 0, loss.dtype)
        return present * (ops.exp(-log_variance) * loss + log_variance)

    @property
    def weights(self):
        """None: what this layer holds is state of the training."""
        return []

    def _state(self):
        return (self.log_variances, self.steps_seen)

    def save_own_variables(self, store):
        for variable in self._state():
            store[variable.name] = variable

    def load_own_variables(self, store):
        # Files of earlier versions have no such entry.
        for variable in self._state():
            if variable.name in store.keys():
                variable.assign(store[variable.name])
