"""The multi-task network: what happens, and what comes next."""

import keras
import numpy as np
from keras import ops

from keras_dynamonet.layers.borders import crop_rim
from keras_dynamonet.layers.dynamic_motion_filter import DynamicMotionFilter
from keras_dynamonet.layers.filter_generator import (
    FilterForecaster,
    FrameFilterGenerator,
    PooledFilterGenerator,
)
from keras_dynamonet.layers.filter_normalization import FilterNormalization
from keras_dynamonet.layers.filter_solver import FilterSolver
from keras_dynamonet.layers.motion_descriptor import MotionDescriptor
from keras_dynamonet.losses import get_frame_loss
from keras_dynamonet.metrics import PSNR, PSNRGain
from keras_dynamonet.models.action_loss import (
    get_action_loss,
    is_one_hot,
    labelled_weight,
)
from keras_dynamonet.models.presets import preset_config
from keras_dynamonet.models.resnext3d import ResNeXt3D

FILTER_SOURCES = ("solved", "generated")
GENERATOR_INPUTS = ("feature", "stage1", "stage2", "stage3", "stage4")


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class DynamoNet(keras.Model):
    """Classifies the action of a clip and predicts its next frames.

    ```
    clip x[1..T] -> backbone -> feature g ----------------------.
                       |                                        v
                       '-> filters F[1..T] -> descriptor --> concat -> logits
                                  |
    x^[t+1] = F[t] * x[t]  <------'     for t = 1..T
    ```

    `loss = action loss + frame_loss_weight * frame loss + teacher_weight * teacher`

    The filters of `t < T` describe a transition that the network has seen; only the
    last one forecasts. Metrics keep the two apart, as `_observed` and `_unseen`.

    The filters come from one of two sources:

    - `"solved"`: the best filter of every observed transition in closed form
      (:class:`FilterSolver`) and a small network over time that forecasts the last one.
    - `"generated"`: a network predicts all of them from the backbone, the paper's form.
      On a pixel loss alone it hardly leaves the identity; `teacher_weight` adds the
      squared distance to the solved filters, from which it learns.

    Args:
        backbone: A :class:`ResNeXt3D` without classes.
        num_classes: Number of actions.
        filter_source: `"solved"` or `"generated"`.
        kernel_size: Odd side k of the filters; moves a picture by up to (k - 1) / 2 px.
        generator_input: Where generated filters branch off: `"feature"` (pooled, as in
            the paper) or a stage that still has a time axis.
        per_channel: A kernel for each colour instead of one for all.
        normalization: `"none"`, `"sum_to_one"` or `"softmax"`; the last only for
            generated filters.
        border: `"replicate"`, `"reflect"` or `"zeros"`.
        ridge: Pull of solved filters towards the identity, see :class:`FilterSolver`.
        descriptor_ridge: The same for the filters that the classifier sees: what a
            stronger pull leaves is motion rather than noise. Generated filters have
            no second form.
        descriptor: `"temporal"` or `"flatten"`, see :class:`MotionDescriptor`.
        dropout: Share of the classifier's inputs dropped in training.
        class_names: Names of the actions, kept with the model.
        fps: Frame rate of the clips, kept with the model; `None` if as in the video.

    Input shape:
        `(batch, T or T + 1, height, width, 3)`, uint8 or float in [0, 255]. The network
        sees the first T frames; frame T + 1, when given, is the target of the forecast.

    Output shape:
        A dictionary: `logits (batch, num_classes)`; `next_frames (batch, T, height,
        width, 3)`, float32 near [0, 1], entry t predicting frame t + 1; `motion_filters
        (batch, T, k, k, 1 or 3)`; `dmr (batch, T * k * k * channels)`, the dynamic
        motion representation: filters less the identity, flattened; `feature
        (batch, features)` of the backbone.

    Raises:
        ValueError: If an option is unknown, the class names do not match `num_classes`,
            or a clip has neither T nor T + 1 frames.

    Reference:
        Diba et al., *DynamoNet: Dynamic Action and Motion Network*, ICCV 2019, figure
        2. Filter size, losses, weights and generator are this library's choices.

    Example:

    >>> import numpy as np
    >>> model = DynamoNet.from_preset("nano-16f", num_classes=4, size=32)
    >>> model.compile("adam")
    >>> clips = np.zeros((2, 17, 32, 32, 3), "uint8")
    >>> history = model.fit(clips, np.array([0, -1]), verbose=0)  # -1: no label
    >>> sorted(model.predict(clips, verbose=0))
    ['dmr', 'feature', 'logits', 'motion_filters', 'next_frames']
    """

    def __init__(
        self,
        backbone,
        num_classes,
        *,
        filter_source="solved",
        kernel_size=5,
        generator_input="stage1",
        per_channel=False,
        normalization="none",
        border="replicate",
        ridge=5e-4,
        descriptor_ridge=1e-2,
        descriptor="temporal",
        dropout=0.0,
        class_names=None,
        fps=None,
        **kwargs,
    ):
        # Clips of floats must reach `call` in full precision.
        super().__init__(autocast=False, **kwargs)
        _check_choice("filter_source", filter_source, FILTER_SOURCES)
        _check_choice("generator_input", generator_input, GENERATOR_INPUTS)
        if filter_source == "solved" and normalization == "softmax":
            raise ValueError(
                "Solved filters have negative taps, which `normalization='softmax'` "
                "cannot express. Use 'none' or 'sum_to_one', or generated filters."
            )
        if class_names is not None and len(class_names) != num_classes:
            raise ValueError(
                "`class_names` must have `num_classes` entries. "
                f"Received: {len(class_names)} names, num_classes={num_classes}"
            )
        self.backbone = backbone
        self.num_classes = num_classes
        self.filter_source = filter_source
        self.kernel_size = kernel_size
        self.generator_input = generator_input
        self.per_channel = per_channel
        self.normalization = normalization
        self.border = border
        self.ridge = ridge
        self.descriptor_ridge = descriptor_ridge
        self.descriptor = descriptor
        self.dropout = dropout
        self.class_names = None if class_names is None else list(class_names)
        self.fps = fps

        channels = 3 if per_channel else 1
        # Pixels and filters stay in float32: 8 bits of mantissa are too few for them.
        self.solver = FilterSolver(
            kernel_size, ridge=ridge, per_channel=per_channel, name="filter_solver"
        )
        if filter_source == "solved":
            self.generator = FilterForecaster(
                kernel_size,
                channels=channels,
                dtype="float32",
                name="filter_forecaster",
            )
        else:
            generator = (
                PooledFilterGenerator
                if generator_input == "feature"
                else FrameFilterGenerator
            )
            self.generator = generator(
                self.num_frames,
                kernel_size,
                channels=channels,
                dtype="float32",
                name="filter_generator",
            )
        self.filter_normalization = FilterNormalization(
            normalization, dtype="float32", name="motion_filters"
        )
        self.frame_filter = DynamicMotionFilter(
            border, dtype="float32", name="next_frames"
        )
        self.motion_descriptor = MotionDescriptor(descriptor, name="motion_descriptor")
        self.dropout_layer = keras.layers.Dropout(dropout, name="dropout")
        # Logits in float32: a loss in half precision loses small gradients.
        self.action = keras.layers.Dense(num_classes, dtype="float32", name="action")

        self.action_loss_tracker = keras.metrics.Mean(name="action_loss")
        self.frame_loss_tracker = keras.metrics.Mean(name="frame_loss")
        self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        # PyTorch refuses to look for more than there are.
        self.top5_accuracy = keras.metrics.SparseTopKCategoricalAccuracy(
            k=min(5, num_classes), name="top5_accuracy"
        )
        self.psnr = {part: PSNR(f"psnr_{part}") for part in ("observed", "unseen")}
        self.psnr_gain = {part: PSNRGain(f"psnr_gain_{part}") for part in self.psnr}
        self.build((None, self.num_frames, *self.frame_size, 3))

    @classmethod
    def from_preset(cls, name, num_classes, *, size=None, backbone=None, **kwargs):
        """Builds a network from the table of presets, with fresh weights.

        Args:
            name: A name of `keras_dynamonet.models.presets.PRESETS`, e.g. `"nano-16f"`
                or `"stc-resnext101-64f"`.
            num_classes: Number of actions.
            size: Height and width of the frames in pixels. Default: the preset's.
            backbone: Arguments of :class:`ResNeXt3D` that replace the preset's.
            **kwargs: Further arguments of :class:`DynamoNet`.

        Returns:
            The network.

        Raises:
            ValueError: If the name is unknown.

        Example:

        >>> model = DynamoNet.from_preset("nano-16f", num_classes=8)
        >>> model.num_frames, model.frame_size
        (16, (64, 64))
        """
        config = {**preset_config(name), **(backbone or {})}
        if size is not None:
            config["size"] = size
        dtype = kwargs.get("dtype")
        return cls(ResNeXt3D(**config, dtype=dtype), num_classes, **kwargs)

    @classmethod
    def from_backbone(cls, backbone, num_classes=None, **kwargs):
        """Builds a network around a trained :class:`ResNeXt3D`, e.g. an imported one.

        A classifier keeps its head if `num_classes` and `class_names` are its own or
        not given: the descriptor enters with zero weights at first, so that the logits
        are those of the classifier. Otherwise the head is fresh.

        Args:
            backbone: The network, with or without a classifier head. Its weights are
                copied.
            num_classes: Number of actions. Default: that of the classifier.
            **kwargs: Further arguments of :class:`DynamoNet`. Default of `class_names`
                and `fps`: those of the backbone.

        Returns:
            The network, not compiled.

        Raises:
            ValueError: If `num_classes` is missing and the backbone has no classes.

        Example:

        >>> classifier = ResNeXt3D(10, num_frames=4, size=16, num_classes=3)
        >>> model = DynamoNet.from_backbone(classifier, per_channel=True)
        >>> model.num_classes
        3
        """
        if num_classes is None and backbone.num_classes is None:
            raise ValueError(
                "`num_classes` is needed for a backbone without a classifier head."
            )
        num_classes = num_classes or backbone.num_classes
        keeps_head = num_classes == backbone.num_classes
        if keeps_head:
            names = kwargs.setdefault("class_names", backbone.class_names)
            keeps_head = backbone.class_names in (None, names and list(names))
        kwargs.setdefault("fps", backbone.fps)
        config = {**backbone.get_config(), "num_classes": None, "class_names": None}
        body = ResNeXt3D.from_config(config)
        body.set_weights(backbone.get_weights()[: len(body.weights)])
        model = cls(body, num_classes, **kwargs)
        if keeps_head:
            kernel, bias = backbone.get_layer("action").get_weights()
            padding = [(0, model.action.kernel.shape[0] - len(kernel)), (0, 0)]
            model.action.set_weights([np.pad(kernel, padding), bias])
        return model

    @property
    def num_frames(self):
        """T, the frames that the network sees."""
        return self.backbone.num_frames

    @property
    def frame_size(self):
        """Height and width of the frames in pixels."""
        return self.backbone.frame_size

    def build(self, input_shape):
        if self.built:
            return
        frames = (None, self.num_frames, *self.frame_size, 3)
        endpoints = {
            name: tuple(tensor.shape) for name, tensor in self.backbone.output.items()
        }
        self.solver.build(frames)
        observed = self.solver.compute_output_shape(frames)
        if self.filter_source == "solved":
            self.generator.build(observed)
        else:
            self.generator.build(endpoints[self.generator_input])
        filters = (None, self.num_frames, *observed[2:])
        self.frame_filter.build((frames, filters))
        self.motion_descriptor.build(filters)
        descriptor = self.motion_descriptor.compute_output_shape(filters)
        self.action.build((None, endpoints["feature"][-1] + descriptor[-1]))
        self.built = True

    def call(self, inputs, training=None):
        clip = self._observed_frames(inputs)
        endpoints = self.backbone(clip, training=training)
        frames = ops.cast(clip, "float32") / 255.0
        motion, dmr = self._motion(frames, endpoints)
        filters = self.filter_normalization(motion)
        descriptor = self.motion_descriptor(dmr, training=training)
        feature = endpoints["feature"]
        evidence = ops.concatenate(
            [feature, ops.cast(descriptor, feature.dtype)], axis=-1
        )
        evidence = self.dropout_layer(evidence, training=training)
        weights = self.num_frames * self.kernel_size**2 * dmr.shape[-1]
        return {
            "logits": self.action(evidence),
            "next_frames": self._predict_frames(frames, filters),
            "motion_filters": filters,
            "dmr": ops.reshape(dmr, (-1, weights)),
            "feature": feature,
        }

    def compile(
        self,
        optimizer="adamw",
        loss=None,
        metrics=None,
        *,
        frame_loss="huber",
        action_loss_weight=1.0,
        frame_loss_weight=1.0,
        teacher_weight=1.0,
        **kwargs,
    ):
        """Prepares the network for `fit`.

        Args:
            optimizer: As for `keras.Model.compile`.
            loss: Loss between labels and logits. Default: sparse categorical
                cross-entropy. Only labelled clips enter.
            metrics: Further metrics on labels and logits of the labelled clips, beside
                `accuracy` and `top5_accuracy`.
            frame_loss: Loss between predicted and real frames: a name, a dictionary of
                names and weights, or a `Loss` (see `keras_dynamonet.losses`). A rim of
                k // 2 pixels is left out.
            action_loss_weight: Weight of the action loss; 0 pre-trains on frames alone.
            frame_loss_weight: Weight of the frame loss.
            teacher_weight: Weight of the squared distance between the filters that a
                network made (all of the generated ones, the forecast of the solved
                ones) and the solved filters of the real transitions.
            **kwargs: Further arguments of `keras.Model.compile`.

        Raises:
            ValueError: If a loss is unknown or expects probabilities.
        """
        self._loss_config = {
            "frame_loss": frame_loss,
            "action_loss_weight": action_loss_weight,
            "frame_loss_weight": frame_loss_weight,
            "teacher_weight": teacher_weight,
        }
        self.action_loss = get_action_loss(loss)
        self.frame_loss = get_frame_loss(frame_loss)
        # As weighted metrics they can leave out clips without a label.
        weighted = [*(metrics or []), *(kwargs.pop("weighted_metrics", None) or [])]
        super().compile(
            optimizer=optimizer,
            loss=self.action_loss,
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
        self.compile(**config)
        if hasattr(self, "optimizer") and self.built:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        losses = [ops.cast(term, "float32") for term in self.losses]
        config = self._loss_config
        if y is not None:
            weight = labelled_weight(y, sample_weight)
            total = ops.sum(weight)
            # Keras would divide by the batch; the mean is over the labelled clips.
            values = self.action_loss.call(ops.maximum(y, 0), y_pred["logits"])
            values = ops.reshape(ops.cast(values, "float32"), (-1,))
            value = ops.sum(weight * values) / ops.maximum(total, 1e-6)
            self.action_loss_tracker.update_state(value, sample_weight=total)
            losses.append(config["action_loss_weight"] * value)
        clip = ops.cast(x, "float32") / 255.0
        real, predicted, _ = self._frames_to_compare(clip, y_pred)
        value = self.frame_loss(real, predicted)
        self.frame_loss_tracker.update_state(value, sample_weight=ops.shape(x)[0])
        losses.append(config["frame_loss_weight"] * value)
        if config["teacher_weight"]:
            value = self._teacher_loss(clip, y_pred)
            if value is not None:
                losses.append(config["teacher_weight"] * value)
        return sum(losses)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        self._labels_seen = y is not None
        if y is not None:
            weight = labelled_weight(y, sample_weight)
            labels = ops.maximum(y, 0)
            if is_one_hot(labels):
                labels = ops.argmax(labels, axis=-1)
            for metric in (self.accuracy, self.top5_accuracy):
                metric.update_state(labels, y_pred["logits"], sample_weight=weight)
            super().compute_metrics(x, ops.maximum(y, 0), y_pred["logits"], weight)
        clip = ops.cast(x, "float32") / 255.0
        real, predicted, previous = self._frames_to_compare(clip, y_pred)
        observed = self.num_frames - 1
        for part, frames in (
            ("observed", slice(0, observed)),
            ("unseen", slice(observed, None)),
        ):
            if real[:, frames].shape[1]:
                arguments = (real[:, frames], predicted[:, frames])
                self.psnr[part].update_state(*arguments)
                self.psnr_gain[part].update_state(*arguments, previous[:, frames])
        return self.get_metrics_result()

    def get_metrics_result(self):
        results = super().get_metrics_result()
        if not getattr(self, "_labels_seen", True):
            for metric in (self.action_loss_tracker, self.accuracy, self.top5_accuracy):
                results.pop(metric.name, None)
        return results

    def get_config(self):
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "num_classes": self.num_classes,
            "filter_source": self.filter_source,
            "kernel_size": self.kernel_size,
            "generator_input": self.generator_input,
            "per_channel": self.per_channel,
            "normalization": self.normalization,
            "border": self.border,
            "ridge": self.ridge,
            "descriptor_ridge": self.descriptor_ridge,
            "descriptor": self.descriptor,
            "dropout": self.dropout,
            "class_names": self.class_names,
            "fps": self.fps,
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        config["backbone"] = keras.saving.deserialize_keras_object(
            config["backbone"], custom_objects=custom_objects
        )
        return cls(**config)

    def _observed_frames(self, inputs):
        given = inputs.shape[1]
        if given is None:
            # TensorFlow forgets the number once it has traced clips of T and of T + 1
            # frames. Unlike a slice, this has a static shape; fewer frames raise.
            return ops.take(inputs, ops.arange(self.num_frames), axis=1)
        if given not in (self.num_frames, self.num_frames + 1):
            raise ValueError(
                f"A clip must have {self.num_frames} frames, or one more as the target "
                f"of the forecast. Received: a batch of shape {tuple(inputs.shape)}"
            )
        return inputs[:, : self.num_frames]

    def _motion(self, frames, endpoints):
        """Motion part of the T filters: that of the prediction, that of the DMR."""
        if self.filter_source == "generated":
            motion = self.generator(endpoints[self.generator_input])
            return motion, motion
        equations = self.solver.normal_equations(frames)
        observed = self.solver.solve(equations, self.ridge)
        forecast = self.generator(observed)
        motion = ops.concatenate([observed, forecast], axis=1)
        # The forecast serves the prediction alone: it adds nothing the classifier does
        # not see in the observed filters, and must not be bent to its wishes.
        dmr = ops.concatenate(
            [
                self.solver.solve(equations, self.descriptor_ridge),
                ops.stop_gradient(forecast),
            ],
            axis=1,
        )
        return motion, dmr

    def _predict_frames(self, frames, filters):
        if self.filter_source == "generated":
            return self.frame_filter([frames, filters])
        # Only the forecast has weights behind it: apart from the solved filters it
        # needs a sixteenth of the gradient.
        observed = self.frame_filter([frames[:, :-1], filters[:, :-1]])
        forecast = self.frame_filter([frames[:, -1:], filters[:, -1:]])
        return ops.concatenate([observed, forecast], axis=1)

    def _frames_to_compare(self, clip, y_pred):
        """Real, predicted and previous frames, without the rim."""
        targets = _count_targets(clip)
        rim = self.kernel_size // 2
        frames = clip[:, 1:], y_pred["next_frames"][:, :targets], clip[:, :-1]
        return tuple(crop_rim(part, rim) for part in frames)

    def _teacher_loss(self, clip, y_pred):
        """Mean over transitions of the squared distance to the solved filters."""
        made_from = self.num_frames - 1 if self.filter_source == "solved" else 0
        targets = _count_targets(clip)
        if made_from >= targets:
            return None
        best = self.solver(clip[:, made_from : targets + 1])
        best = self.filter_normalization(best)
        made = y_pred["motion_filters"][:, made_from:targets]
        distance = ops.sum(ops.square(made - ops.stop_gradient(best)), axis=(2, 3, 4))
        return ops.mean(distance)


def _count_targets(clip):
    if clip.shape[1] is None:
        raise ValueError(
            "The loss needs to know the number of frames of a batch. Give the dataset "
            "a static shape; between clips of T and of T + 1 frames, compile again."
        )
    return clip.shape[1] - 1


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {choices}. Received: {value!r}")
