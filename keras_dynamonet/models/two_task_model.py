"""Training of a network with two tasks: actions and next frames."""

import keras
from keras import ops

from keras_dynamonet.layers import backend_ops
from keras_dynamonet.models.clip_shape import as_colour_clips
from keras_dynamonet.models.keras_quantization import NoKerasQuantization
from keras_dynamonet.models.loss_weighting import LossWeighting
from keras_dynamonet.models.one_batch_predict import OneBatchPredict
from keras_dynamonet.models.step_means import clip_weight


class TwoTaskModel(OneBatchPredict, NoKerasQuantization, keras.Model):
    """Adds the losses of both tasks, so that plain `fit` trains them together.

    The losses are those of actions, frames and filters, see :meth:`compile`.

    A subclass calls :meth:`set_tasks` once and has a `frame_size`, and its outputs hold
    `logits`, `next_frames` and `motion_filters`. Clips come alone or with labels, -1
    for none. Each loss is a mean over the clips of a step, weighted by `sample_weight`
    if there is one. (`class_weight` has no weight for -1: where Keras reads it from a
    dataset, every clip needs a label.)

    Losses of your own come by `add_loss` or a regularizer: they are part of `loss` in
    the history. What an own `compute_loss` adds is learnt from, but not shown there.
    """

    def set_tasks(self, action_task, frame_task, filter_teacher):
        """Says what is learnt.

        Args:
            action_task: An :class:`ActionTask`.
            frame_task: A :class:`FrameTask`.
            filter_teacher: A :class:`FilterTeacher`.
        """
        self.action_task = action_task
        self.frame_task = frame_task
        self.filter_teacher = filter_teacher
        self.loss_weighting = LossWeighting()
        # Keras finds metrics in lists, not in objects.
        self._task_metrics = [*action_task.metrics, *frame_task.metrics]
        # Keras's own weighs a step by its batch; this one by the weight of its clips.
        self._weighted_loss = keras.metrics.Mean(name="weighted_loss")

    def compile(
        self,
        optimizer="adamw",
        loss=None,
        metrics=None,
        *,
        frame_loss="huber",
        frame_view="raw",
        loss_weighting="fixed",
        loss_warmup_steps=1000,
        action_loss_weight=1.0,
        frame_loss_weight=1.0,
        teacher_weight=1.0,
        **kwargs,
    ):
        """Prepares the network for `fit`.

        Args:
            optimizer: As for `keras.Model.compile`.
            loss: Loss between labels and logits. Default: sparse categorical
                cross-entropy. Only labelled clips enter; those whose label is a row of
                zeros have none.
            metrics: Further metrics on labels and logits of the labelled clips, beside
                `accuracy` and `top5_accuracy`. All are weighted by `sample_weight` and
                `class_weight`, as Keras's `weighted_metrics` are.
            frame_loss: Loss between predicted and real frames: a name, a dictionary of
                names and weights, or a `Loss` (see `keras_dynamonet.losses`). A rim of
                k // 2 pixels is left out.
            frame_view: What the frame loss compares: `"raw"` frames, or frames seen
                through a `"high_pass"` or `"whitened"` filter, see
                :class:`ViewedFrameLoss`.
            loss_weighting: `"fixed"`: the sum of the weighted losses; `"warm_up"`: the
                same, but the action loss grows in over the first steps;
                `"uncertainty"`: each loss by a learnt scale of its own, see
                :class:`LossWeighting`.
            loss_warmup_steps: Training steps until the action loss has its whole
                weight, for `"warm_up"`.
            action_loss_weight: Weight of the action loss; 0 pre-trains on frames alone
                and looks at no label.
            frame_loss_weight: Weight of the frame loss.
            teacher_weight: Weight of the squared distance between the filters that
                weights stand behind (all of the generated ones and of those solved on
                learned maps, else the forecast) and those solved from the pixels of
                the real transitions.
            **kwargs: Further arguments of `keras.Model.compile`.

        Raises:
            ValueError: If a loss, a view or a weighting is unknown, a loss expects
                probabilities, `loss_weights` are given, or a dictionary names another
                output than `logits`.
        """
        if kwargs.get("loss_weights") is not None:
            raise ValueError(
                "`loss_weights` weighs the outputs of other networks. Here it is "
                "`action_loss_weight`, `frame_loss_weight` and `teacher_weight`. "
                f"Received: loss_weights={kwargs['loss_weights']}"
            )
        self.loss_weighting.prepare(loss_weighting, loss_warmup_steps)
        self._loss_config = {
            "frame_loss": frame_loss,
            "frame_view": frame_view,
            "loss_weighting": loss_weighting,
            "loss_warmup_steps": loss_warmup_steps,
            "action_loss_weight": action_loss_weight,
            "frame_loss_weight": frame_loss_weight,
            "teacher_weight": teacher_weight,
        }
        self.action_task.compile(_of_logits(loss, "loss"))
        self.frame_task.compile(frame_loss, frame_view)
        # As weighted metrics they can leave out clips without a label.
        weighted = [
            *_metric_list(metrics, "metrics"),
            *_metric_list(kwargs.pop("weighted_metrics", None), "weighted_metrics"),
        ]
        super().compile(
            optimizer=optimizer,
            loss=self.action_task.loss_function,
            weighted_metrics=weighted or None,
            **kwargs,
        )

    def get_compile_config(self):
        config = super().get_compile_config()
        if not config:
            return config
        return {
            **config,
            **keras.saving.serialize_keras_object(self._loss_config),
        }

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        config.pop("loss_weights", None)  # in files of a time when it was not refused
        self.compile(**config)
        if hasattr(self, "optimizer") and self.built:
            self.optimizer.build(self.trainable_variables)

    @property
    def trainable_weights(self):
        """All that is learnt: beside the network's weights, the scales of losses."""
        return self.trainable_variables

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if x is None:
            raise ValueError(
                "`compute_loss` needs `x`, the clips: their frames are compared."
            )
        y = _of_logits(y, "y")
        sample_weight = _of_logits(sample_weight, "sample_weight")
        clip = self._unit_clip(x)
        weight = clip_weight(x, sample_weight)
        config, losses = self._loss_config, {}
        if self._learns_from(y):
            losses["action"] = self.action_task.loss(y, y_pred["logits"], sample_weight)
        losses["frame"] = self.frame_task.loss(clip, y_pred["next_frames"], weight)
        if config["teacher_weight"] and self.filter_teacher.has_lesson(clip):
            filters = y_pred["motion_filters"]
            losses["teacher"] = self.filter_teacher.loss(clip, filters, weight)
        weights = {
            "action": config["action_loss_weight"],
            "frame": config["frame_loss_weight"],
            "teacher": config["teacher_weight"],
        }
        total = self.loss_weighting.total(losses, weights, training)
        total += sum(ops.cast(term, "float32") for term in self.losses)
        self._weighted_loss.update_state(total, sample_weight=ops.sum(weight))
        # Keras adds up what the replicas of a `tf.distribute` strategy return.
        return total / backend_ops.num_replicas()

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        y = _of_logits(y, "y")
        sample_weight = _of_logits(sample_weight, "sample_weight")
        clip = self._unit_clip(x)
        weight = clip_weight(x, sample_weight)
        next_frames = y_pred["next_frames"]
        without_data = self.frame_task.update_metrics(clip, next_frames, weight)
        self._has_labels = self._learns_from(y)
        if self._has_labels:
            logits = y_pred["logits"]
            labels, weight = self.action_task.update_metrics(y, logits, sample_weight)
            super().compute_metrics(x, labels, logits, weight)
        else:
            without_data += [metric.name for metric in self.action_task.metrics]
        self._without_data = tuple(without_data)
        return self.get_metrics_result()

    def _unit_clip(self, clips):
        """Clips of pixels in [0, 1]."""
        clips = as_colour_clips(clips, self.frame_size)
        return ops.cast(clips, "float32") / 255.0

    def _learns_from(self, labels):
        return labels is not None and bool(self._loss_config["action_loss_weight"])

    def get_metrics_result(self):
        results = {}
        for metric in self.metrics:
            # Those of the user's: Keras builds them with the first labels.
            own = metric is self._compile_metrics
            if own and not (metric.built and getattr(self, "_has_labels", True)):
                continue
            result = metric.result()
            several = isinstance(result, dict)
            results.update(result if several else {metric.name: result})
        results["loss"] = results.pop(self._weighted_loss.name)
        for name in getattr(self, "_without_data", ()):
            results.pop(name, None)
        return results


def _of_logits(value, argument):
    """What a dictionary by outputs has for the logits; other values as they are."""
    if not isinstance(value, dict):
        return value
    if set(value) != {"logits"}:
        raise ValueError(
            f"`{argument}` may be a dictionary with an entry for 'logits' alone: the "
            "frames to predict are in the clips, and have `frame_loss`. Received one "
            f"with {sorted(map(str, value))}"
        )
    return value["logits"]


def _metric_list(metrics, argument):
    metrics = _of_logits(metrics, argument)
    if metrics is None:
        return []
    return list(metrics) if isinstance(metrics, list | tuple) else [metrics]
