"""The multi-task network: what happens, and what comes next."""

import math

import keras
import numpy as np
from keras import ops

from keras_dynamonet.layers.arguments import require_positive
from keras_dynamonet.layers.dynamic_motion_filter import DynamicMotionFilter
from keras_dynamonet.layers.filter_normalization import FilterNormalization
from keras_dynamonet.layers.motion_descriptor import MotionDescriptor
from keras_dynamonet.models.action_task import ActionTask
from keras_dynamonet.models.clip_shape import as_colour_clips
from keras_dynamonet.models.frame_task import FilterTeacher, FrameTask
from keras_dynamonet.models.freezing import get_trainability, restore_trainability
from keras_dynamonet.models.motion_sources import (
    FILTER_SOURCES,
    GENERATOR_INPUTS,
    make_solver,
)
from keras_dynamonet.models.presets import preset_config
from keras_dynamonet.models.resnext3d import ResNeXt3D
from keras_dynamonet.models.two_task_model import TwoTaskModel

EVIDENCE = {
    "both": ("feature", "filters"),
    "feature": ("feature",),
    "filters": ("filters",),
}
"""What the classifier sees, by the name of the option."""


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class DynamoNet(TwoTaskModel):
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

    The filters come from one of three sources:

    - `"solved"`: the best filter of every observed transition in closed form
      (:class:`FilterSolver`) and a small network over time that forecasts the last one.
    - `"generated"`: a network predicts all of them from the backbone, the paper's form.
      On a pixel loss alone it hardly leaves the identity; `teacher_weight` adds the
      squared distance to the solved filters, from which it learns.
    - `"refined"`: the sum of both, which starts as the solved filters.

    Args:
        backbone: A :class:`ResNeXt3D` without classes.
        num_classes: Number of actions.
        filter_source: `"solved"`, `"generated"` or `"refined"`.
        kernel_size: Odd side k of the filters; moves a picture by up to (k - 1) / 2 px.
        generator_input: Where generated filters branch off: `"feature"` (pooled, as in
            the paper) or a stage that still has a time axis.
        per_channel: A kernel for each colour instead of one for all.
        normalization: `"none"`, `"sum_to_one"` or `"softmax"`; the last only for
            generated filters.
        segments: Number of filters M for each transition, each for the pixels that
            move like it, see :class:`SegmentSolver`; more than 1 for solved filters.
        solver_maps: Number of learned maps of the frames to solve the filters on, see
            :class:`FrameMaps`; 0 solves on their brightness.
        border: `"replicate"`, `"reflect"` or `"zeros"`.
        ridge: Pull of solved filters towards the identity, see :class:`FilterSolver`.
        descriptor_ridge: The same for the filters that the classifier sees: what a
            stronger pull leaves is motion rather than noise. Generated filters have
            no second form.
        evidence: What the classifier sees: `"both"`, the backbone's `"feature"` or the
            `"filters"`.
        motion_gradient: Whether the action loss reaches the filters through the
            descriptor; `False` leaves them to the other losses.
        descriptor: `"temporal"` or `"flatten"`, see :class:`MotionDescriptor`.
        dropout: Share of the classifier's inputs dropped in training.
        class_names: Names of the actions, kept with the model.
        fps: Frame rate of the clips, kept with the model; `None` if as in the video.
        stride: Frames of the video from one frame of a clip to the next, if `fps` is
            `None`; kept with the model.
        trainability: What `get_config` keeps of layers that were frozen one by one.
        **kwargs: Those of `keras.Model`. Default of `dtype`: that of the backbone.

    Input shape:
        `(batch, T or T + 1, height, width, 3)`, uint8 or float in [0, 255]. The network
        sees the first T frames; frame T + 1, when given, is the target of the forecast.

    Output shape:
        A dictionary: `logits (batch, num_classes)`; `next_frames (batch, T, height,
        width, 3)`, float32 near [0, 1], entry t predicting frame t + 1; `motion_filters
        (batch, T, k, k, n)`, n = 1, 3 for a kernel a colour, or M; `dmr (batch, T * k *
        k * n)`, the dynamic motion representation: what the filters add to the
        identity before they are normalised, flattened; solved filters enter it with
        `descriptor_ridge`; `feature (batch, features)` of the backbone; with segments
        also `segment_masks (batch, T, height, width, M)`.

    Raises:
        ValueError: If an option is unknown or excludes another one, a ridge is not
            positive, the class names do not match `num_classes`, or a clip has neither
            T nor T + 1 frames.

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
        segments=1,
        solver_maps=0,
        border="replicate",
        ridge=5e-4,
        descriptor_ridge=1e-2,
        evidence="both",
        motion_gradient=True,
        descriptor="temporal",
        dropout=0.0,
        class_names=None,
        fps=None,
        stride=1,
        trainability=None,
        **kwargs,
    ):
        # A network that computes in float16 has to know it, for the optimizer to scale
        # its loss.
        kwargs.setdefault("dtype", backbone.dtype_policy)
        # Clips of floats must reach `call` in full precision.
        super().__init__(autocast=False, **kwargs)
        _check_choice("filter_source", filter_source, FILTER_SOURCES)
        _check_choice("generator_input", generator_input, GENERATOR_INPUTS)
        _check_choice("evidence", evidence, EVIDENCE)
        if filter_source != "generated" and normalization == "softmax":
            raise ValueError(
                "Solved filters have negative taps, which `normalization='softmax'` "
                "cannot express. Use 'none' or 'sum_to_one', or generated filters."
            )
        require_positive(segments=segments)
        if solver_maps < 0:
            raise ValueError(
                "`solver_maps` must not be negative. "
                f"Received: solver_maps={solver_maps}"
            )
        if segments > 1 or solver_maps:
            alone = (segments > 1) + (solver_maps > 0) + per_channel == 1
            if filter_source != "solved" or not alone:
                raise ValueError(
                    "`segments` and `solver_maps` are for `filter_source='solved'`, "
                    "one of them at a time, and without `per_channel`. Received: "
                    f"filter_source={filter_source!r}, segments={segments}, "
                    f"solver_maps={solver_maps}, per_channel={per_channel}"
                )
        if descriptor_ridge <= 0:
            raise ValueError(
                "`descriptor_ridge` must be positive. "
                f"Received: descriptor_ridge={descriptor_ridge}"
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
        self.segments = segments
        self.solver_maps = solver_maps
        self.border = border
        self.ridge = ridge
        self.descriptor_ridge = descriptor_ridge
        self.evidence = evidence
        self.motion_gradient = motion_gradient
        self.descriptor = descriptor
        self.dropout = dropout
        self.class_names = None if class_names is None else list(class_names)
        self.fps = fps
        self.stride = stride

        # Pixels and filters stay in float32: 8 bits of mantissa are too few for them.
        self.solver = make_solver(self)
        self.filter_normalization = FilterNormalization(
            normalization, dtype="float32", name="motion_filters"
        )
        self.frame_filter = DynamicMotionFilter(
            border, dtype="float32", name="next_frames"
        )
        self.motion = FILTER_SOURCES[filter_source](self)
        self.motion_layers = self.motion.layers  # Keras finds layers in lists only.
        self.motion_descriptor = MotionDescriptor(
            descriptor, dtype=self.dtype_policy, name="motion_descriptor"
        )
        self.dropout_layer = keras.layers.Dropout(
            dropout, dtype=self.dtype_policy, name="dropout"
        )
        # Logits in float32: a loss in half precision loses small gradients.
        self.action = keras.layers.Dense(num_classes, dtype="float32", name="action")

        self.set_tasks(
            ActionTask(num_classes),
            FrameTask(self.num_frames, kernel_size, self.motion.learned_from),
            FilterTeacher(
                self.solver,
                # The softmax of a solved filter is another one, close to the identity.
                FilterNormalization(dtype="float32")
                if normalization == "softmax"
                else self.filter_normalization,
                self.motion.learned_from,
            ),
        )
        self.build((None, self.num_frames, *self.frame_size, 3))
        restore_trainability(self, trainability, apart=[backbone])

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
        config.setdefault("dtype", kwargs.get("dtype"))
        return cls(ResNeXt3D(**config), num_classes, **kwargs)

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
        # The head of a classifier knows features only.
        keeps_head = keeps_head and kwargs.get("evidence") != "filters"
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
        seen = (*frames[:-1], self.solver_maps or 3)
        self.solver.build(seen)
        observed = self.solver.compute_output_shape(seen)
        self.motion.build(frames, endpoints)
        filters = (None, self.num_frames, *observed[2:])
        masks = [(*frames[:-1], self.segments)] if self.segments > 1 else []
        self.frame_filter.build([frames, filters, *masks])
        self.motion_descriptor.build(filters)
        widths = {
            "feature": endpoints["feature"][-1],
            "filters": self.motion_descriptor.compute_output_shape(filters)[-1],
        }
        self.action.build((None, sum(widths[part] for part in EVIDENCE[self.evidence])))
        self.built = True

    def call(self, inputs, training=None):
        clip = self._observed_frames(inputs)
        endpoints = self.backbone(clip, training=training)
        frames = ops.cast(clip, "float32") / 255.0
        motion = self.motion(frames, endpoints)
        filters = self.filter_normalization(motion.prediction)
        evidence = self._evidence(endpoints["feature"], motion.descriptor, training)
        weights = math.prod(motion.descriptor.shape[1:])
        masks = {} if motion.masks is None else {"segment_masks": motion.masks}
        return {
            "logits": self.action(self.dropout_layer(evidence, training=training)),
            "next_frames": self._predict_frames(frames, filters, *masks.values()),
            "motion_filters": filters,
            "dmr": ops.reshape(motion.descriptor, (-1, weights)),
            "feature": endpoints["feature"],
            **masks,
        }

    def export(
        self,
        filepath,
        format="tf_saved_model",
        verbose=None,
        input_signature=None,
        **kwargs,
    ):
        """Writes a file for inference as every Keras model does, called before or not.

        `keras_dynamonet.exporters` writes files that tell of themselves and were
        compared with the network, also from mixed precision, in which Keras's to ONNX
        and LiteRT may not load.

        Args:
            filepath: Where to write.
            format: One that `keras.Model.export` knows.
            verbose: Whether to print what was written, as for `keras.Model.export`.
            input_signature: As for `keras.Model.export`. Without one, float32 clips
                `(batch, frames, height, width, 3)` of the network's size, pixels from
                0 to 255.
            **kwargs: As for `keras.Model.export`.

        Example, where TensorFlow is Keras's backend:

            keras.saving.load_model("best.keras").export("served")
        """
        # Keras learns it from the first call, which a loaded network has not had.
        clip = self.backbone.inputs[0]
        signature = [keras.InputSpec(shape=clip.shape, dtype=clip.dtype)]
        forms = self.solver.method, self.frame_filter.form
        if format != "tf_saved_model":
            # Other runtimes have no Cholesky factorisation and no kernel for each clip.
            self.solver.method, self.frame_filter.form = "newton", "patches"
        try:
            super().export(
                filepath, format, verbose, input_signature or signature, **kwargs
            )
        finally:
            self.solver.method, self.frame_filter.form = forms

    def get_config(self):
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "num_classes": self.num_classes,
            "filter_source": self.filter_source,
            "kernel_size": self.kernel_size,
            "generator_input": self.generator_input,
            "per_channel": self.per_channel,
            "normalization": self.normalization,
            "segments": self.segments,
            "solver_maps": self.solver_maps,
            "border": self.border,
            "ridge": self.ridge,
            "descriptor_ridge": self.descriptor_ridge,
            "evidence": self.evidence,
            "motion_gradient": self.motion_gradient,
            "descriptor": self.descriptor,
            "dropout": self.dropout,
            "class_names": self.class_names,
            "fps": self.fps,
            "stride": self.stride,
            "trainability": get_trainability(self, apart=[self.backbone]),
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
        inputs = as_colour_clips(inputs, self.frame_size)
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

    def _evidence(self, feature, dmr, training):
        """What the classifier sees, `(batch, features)`."""
        parts = {"feature": feature}
        if "filters" in EVIDENCE[self.evidence]:
            if not self.motion_gradient:
                dmr = ops.stop_gradient(dmr)
            descriptor = self.motion_descriptor(dmr, training=training)
            parts["filters"] = ops.cast(descriptor, feature.dtype)
        chosen = [parts[part] for part in EVIDENCE[self.evidence]]
        return ops.concatenate(chosen, axis=-1)

    def _predict_frames(self, *parts):
        """The next frames, from frames, filters and, with segments, masks."""
        first = self.motion.learned_from
        places = [slice(0, first), slice(first, None)] if first else [slice(None)]
        predicted = [
            self.frame_filter([part[:, place] for part in parts]) for place in places
        ]
        if first:
            # No weights stand behind solved filters: a gradient would be in vain, and
            # cost several times as much as the filtering.
            predicted[0] = ops.stop_gradient(predicted[0])
        return ops.concatenate(predicted, axis=1)


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {tuple(choices)}. Received: {value!r}"
        )
