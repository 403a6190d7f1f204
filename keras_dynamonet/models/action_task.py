"""The first task of the network: what happens. Loss and metrics of the actions."""

import keras
from keras import ops

from keras_dynamonet.models.action_loss import (
    get_action_loss,
    is_one_hot,
    known_labels,
    labelled_weight,
)
from keras_dynamonet.models.step_means import weighted_mean


class ActionTask:
    """Loss and metrics between labels and logits, over the labelled clips alone.

    Args:
        num_classes: Number of actions.

    Attributes:
        metrics: `action_loss`, `accuracy` and `top5_accuracy`; for the network to
            track.
        loss_function: The `keras.losses.Loss`; set by :meth:`compile`.
    """

    def __init__(self, num_classes):
        self._loss_tracker = keras.metrics.Mean(name="action_loss")
        self._accuracies = (
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            # PyTorch refuses to look for more than there are.
            keras.metrics.SparseTopKCategoricalAccuracy(
                k=min(5, num_classes), name="top5_accuracy"
            ),
        )
        self.metrics = [self._loss_tracker, *self._accuracies]
        self.loss_function = None

    def compile(self, loss):
        """Takes a loss as :func:`get_action_loss` does."""
        self.loss_function = get_action_loss(loss)

    def loss(self, labels, logits, sample_weight=None):
        """Mean loss over the labelled clips, 0 if there are none.

        Args:
            labels: `(batch,)` integers, -1 for none, or `(batch, classes)` shares.
            logits: `(batch, classes)`.
            sample_weight: Optional weight of each clip, `(batch,)`.
        """
        weight = labelled_weight(labels, sample_weight)
        # Keras would divide by the batch; the mean is over the labelled clips.
        values = self.loss_function.call(known_labels(labels), logits)
        value = weighted_mean(values, weight)
        self._loss_tracker.update_state(value, sample_weight=ops.sum(weight))
        return value

    def update_metrics(self, labels, logits, sample_weight=None):
        """Adds a batch to the accuracies.

        Returns:
            The labels without -1, and the weights, for further metrics.
        """
        weight = labelled_weight(labels, sample_weight)
        labels = known_labels(labels)
        indices = ops.argmax(labels, axis=-1) if is_one_hot(labels) else labels
        for metric in self._accuracies:
            metric.update_state(indices, logits, sample_weight=weight)
        return labels, weight
