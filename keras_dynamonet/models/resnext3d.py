"""3D ResNet, 3D ResNeXt and STC-ResNeXt backbones."""

from typing import NamedTuple

import keras

from keras_dynamonet.layers.arguments import triple
from keras_dynamonet.layers.conv_norm import ConvNorm
from keras_dynamonet.layers.pixel_normalization import (
    KINETICS_MEAN,
    KINETICS_STD,
    PixelNormalization,
)
from keras_dynamonet.layers.pooling3d import MaxPool3D
from keras_dynamonet.layers.residual_blocks import BasicBlock, BottleneckBlock
from keras_dynamonet.models.clip_shape import as_colour_clips
from keras_dynamonet.models.freezing import (
    freeze_layers,
    get_trainability,
    restore_trainability,
)
from keras_dynamonet.models.keras_quantization import NoKerasQuantization
from keras_dynamonet.models.one_batch_predict import OneBatchPredict

# depth: (block, blocks in each stage)
DEPTHS = {
    10: ("basic", (1, 1, 1, 1)),
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
    200: ("bottleneck", (3, 24, 36, 3)),
}


class Stem(NamedTuple):
    """The first convolution."""

    kernel_size: tuple[int, int, int]
    pool: bool  # whether a 3x3x3 max pool of stride 2 follows
    strides: tuple[int, int, int] = (1, 2, 2)
    middle: int | None = None  # channels between its part in space and that in time


STEMS = {
    "7x7x7": Stem((7, 7, 7), pool=True),
    "3x7x7": Stem((3, 7, 7), pool=False),
    "small": Stem((3, 3, 3), pool=False),
    "coarse": Stem((3, 7, 7), pool=False, strides=(2, 4, 4)),
    "(2+1)d": Stem((7, 7, 7), pool=True, middle=110),
    "small (2+1)d": Stem((3, 7, 7), pool=False, middle=45),
}

CONVOLUTIONS = ("3d", "2d", "(2+1)d")

_BLOCKS = {"basic": BasicBlock, "bottleneck": BottleneckBlock}


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class ResNeXt3D(OneBatchPredict, NoKerasQuantization, keras.Model):
    """A 3D residual network: stem, four stages of blocks, pooled feature.

    ```
    pixels -> normalise -> stem -> stage1 -> stage2 -> stage3 -> stage4 -> mean
              [0, 255]     /2 px             /2        /2        /2        feature
    ```

    Without `num_classes` its output is a dictionary of endpoints, `"stem"`, `"stage1"`
    to `"stage4"` and `"feature"`; with it, the logits of a plain classifier. The same
    endpoints are found in `endpoints` either way.

    Args:
        depth: 10, 18, 34 (basic blocks), 50, 101, 152 or 200 (bottlenecks).
        num_frames: Frames of a clip.
        size: Height and width of the frames in pixels, or one for both.
        cardinality: Groups of the 3x3x3 convolutions; 1 makes it a 3D ResNet.
        widths: Channels of the 3x3x3 convolutions in the four stages. Default: `(128,
            256, 512, 1024)` for bottlenecks with groups, else `(64, 128, 256, 512)`.
        expansion: Output channels of a bottleneck over its width. Default: 2 with
            groups, 4 without.
        blocks: Blocks in each stage. Default: those of `depth`.
        block: `"basic"` or `"bottleneck"`. Default: that of `depth`.
        stem: `"7x7x7"` with max pool (3D-ResNets), `"3x7x7"` without (R3D), the two
            factorised in space and time, `"(2+1)d"` with and `"small (2+1)d"` without
            pool (R(2+1)D), `"small"` (3x3x3 without pool, for small frames), or
            `"coarse"` (3x7x7 with stride 2 in time and 4 in space, for slow machines).
        stem_width: Channels of the stem.
        convolution: `"3d"`, `"2d"` (1x3x3) or `"(2+1)d"` (1x3x3, then 3x1x1, with as
            many channels between as keep the number of weights), or one of them for
            each stage: MC3 is `("3d", "2d", "2d", "2d")` without temporal strides.
        shared_middle: With `"(2+1)d"`, both convolutions of a block have as many
            channels between as the first (torchvision) instead of each its own.
        pre_activation: Norm and ReLU before each convolution of the blocks.
        temporal_strides: Stride over frames of each stage.
        shortcut: `"A"` or `"B"`, see :class:`BottleneckBlock`.
        stc_ratio: Reduction ratio of an STC block in every residual block, or `None`.
            STC ties the weights to `num_frames`.
        zero_gamma: Every residual block starts as identity.
        mean: Mean of each colour, of pixels in [0, 1].
        std: Deviation of each colour, of pixels in [0, 1].
        num_classes: Classes of a classifier head, or `None` for a backbone.
        class_names: Names of the classes, kept with the model.
        fps: Frame rate of the clips, kept with the model; `None` if as in the video.
        folded: Build the inference form without batch normalisation.
        form: Form of the convolutions, see :class:`GroupedConv3D`.
        frozen: Arguments of :meth:`freeze` to call at once, or `None`.
        trainability: What `get_config` keeps of layers that were frozen one by one;
            `frozen` comes after it.

    Input shape:
        `(batch, num_frames, height, width, 3)`, uint8 or float in [0, 255].

    Output shape:
        A dictionary of endpoints, or `(batch, num_classes)`. For depth 101, 16 frames
        of 112x112: stage1 `(8, 28, 28, 256)`, stage2 `(4, 14, 14, 512)`, stage3 `(2, 7,
        7, 1024)`, stage4 `(1, 4, 4, 2048)`, feature `(2048,)`.

    Raises:
        ValueError: If `depth`, `stem`, `block` or `convolution` is unknown, a sequence
            has not one entry a stage, `cardinality` does not divide a width, or the
            class names do not match `num_classes`.

    Reference:
        Hara et al., *Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and
        ImageNet?*, CVPR 2018, table 1; Tran et al., *A Closer Look at Spatiotemporal
        Convolutions for Action Recognition*, CVPR 2018; Diba et al. (STC), ECCV 2018.

    Example:

    >>> backbone = ResNeXt3D(18, num_frames=8, size=32, cardinality=1)
    >>> backbone(keras.ops.zeros((1, 8, 32, 32, 3)))["feature"].shape
    TensorShape([1, 512])
    """

    def __init__(
        self,
        depth=101,
        *,
        num_frames=16,
        size=112,
        cardinality=32,
        widths=None,
        expansion=None,
        blocks=None,
        block=None,
        stem="7x7x7",
        stem_width=64,
        convolution="3d",
        shared_middle=False,
        pre_activation=False,
        temporal_strides=(1, 2, 2, 2),
        shortcut="B",
        stc_ratio=None,
        zero_gamma=False,
        mean=KINETICS_MEAN,
        std=KINETICS_STD,
        num_classes=None,
        class_names=None,
        fps=None,
        folded=False,
        form="auto",
        frozen=None,
        trainability=None,
        **kwargs,
    ):
        _check_choice("depth", depth, DEPTHS)
        _check_choice("stem", stem, STEMS)
        block = block or DEPTHS[depth][0]
        _check_choice("block", block, _BLOCKS)
        if isinstance(convolution, str):
            convolution = (convolution,) * 4
        for kind in convolution:
            _check_choice("convolution", kind, CONVOLUTIONS)
        if class_names is not None and len(class_names) != num_classes:
            raise ValueError(
                "`class_names` must have `num_classes` entries. "
                f"Received: {len(class_names)} names, num_classes={num_classes}"
            )
        wide = block == "bottleneck" and cardinality > 1
        config = {
            "depth": depth,
            "num_frames": num_frames,
            "size": (size, size) if isinstance(size, int) else tuple(size),
            "cardinality": cardinality,
            "widths": tuple(
                widths or ((128, 256, 512, 1024) if wide else (64, 128, 256, 512))
            ),
            "expansion": expansion
            or (1 if block == "basic" else 2 if cardinality > 1 else 4),
            "blocks": tuple(blocks or DEPTHS[depth][1]),
            "block": block,
            "stem": stem,
            "stem_width": stem_width,
            "convolution": tuple(convolution),
            "shared_middle": shared_middle,
            "pre_activation": pre_activation,
            "temporal_strides": tuple(temporal_strides),
            "shortcut": shortcut,
            "stc_ratio": stc_ratio,
            "zero_gamma": zero_gamma,
            "mean": tuple(mean),
            "std": tuple(std),
            "num_classes": num_classes,
            "class_names": None if class_names is None else tuple(class_names),
            "fps": fps,
            "folded": folded,
            "form": form,
        }
        for name in ("widths", "blocks", "convolution", "temporal_strides"):
            if len(config[name]) != 4:
                raise ValueError(
                    f"`{name}` must have an entry for each of the four stages. "
                    f"Received: {name}={config[name]}"
                )
        dtype = kwargs.pop("dtype", None)
        inputs = keras.Input((num_frames, *config["size"], 3), name="clip")
        endpoints = _endpoints(inputs, config, dtype)
        outputs = endpoints
        if num_classes is not None:
            # Logits in float32: a loss in half precision loses small gradients.
            outputs = keras.layers.Dense(num_classes, dtype="float32", name="action")(
                endpoints["feature"]
            )
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.endpoints = endpoints
        self._arguments = config
        # That of the layers, by which the optimizer knows whether to scale the loss; a
        # model of Keras's functional kind takes none.
        self.dtype_policy = keras.dtype_policies.get(dtype)
        restore_trainability(self, trainability)
        if frozen is not None:
            self.freeze(**frozen)

    def call(self, inputs, training=None, mask=None):
        # A list or a dictionary may hold the clips, as for every functional model.
        inputs = keras.tree.map_structure(
            lambda clips: as_colour_clips(clips, self.frame_size, self.num_frames),
            inputs,
        )
        return super().call(inputs, training=training, mask=mask)

    def freeze(self, until=None, *, batch_norm="with_stage"):
        """Freezes the layers from the stem up to a stage, also in the model's file.

        Args:
            until: As for :func:`~keras_dynamonet.training.fine_tuning.freeze`.
            batch_norm: Likewise.

        Raises:
            ValueError: If `until` or `batch_norm` is unknown.
        """
        freeze_layers(self.layers, until, batch_norm)

    @property
    def num_frames(self):
        """Frames of a clip."""
        return self._arguments["num_frames"]

    @property
    def frame_size(self):
        """Height and width of the frames in pixels."""
        return self._arguments["size"]

    @property
    def num_classes(self):
        """Classes of the classifier head, or `None` for a backbone."""
        return self._arguments["num_classes"]

    @property
    def class_names(self):
        """Names of the classes, or `None`."""
        names = self._arguments["class_names"]
        return None if names is None else list(names)

    @property
    def fps(self):
        """Frame rate of the clips, or `None` if as in the video."""
        return self._arguments["fps"]

    def get_config(self):
        return {
            **self._arguments,
            "trainability": get_trainability(self),
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def _endpoints(inputs, config, dtype):
    """The graph from pixels to the pooled feature, as a dictionary of its stages."""
    shared = {"folded": config["folded"], "form": config["form"], "dtype": dtype}
    x = PixelNormalization(
        config["mean"], config["std"], dtype=dtype, name="normalise"
    )(inputs)
    endpoints = {"stem": _stem(x, STEMS[config["stem"]], config["stem_width"], shared)}
    x = endpoints["stem"]
    block = _BLOCKS[config["block"]]
    for stage, (count, width) in enumerate(
        zip(config["blocks"], config["widths"], strict=True), start=1
    ):
        space = 1 if stage == 1 else 2
        time = config["temporal_strides"][stage - 1]
        kind = config["convolution"][stage - 1]
        for index in range(1, count + 1):
            x = block(
                width,
                expansion=config["expansion"],
                strides=triple((time, space, space) if index == 1 else 1),
                groups=config["cardinality"],
                kernel_size=(1, 3, 3) if kind == "2d" else 3,
                middle=(
                    middle_channels(x.shape[-1], width, config)
                    if kind == "(2+1)d"
                    else None
                ),
                pre_activation=config["pre_activation"],
                shortcut=config["shortcut"],
                stc_ratio=config["stc_ratio"],
                zero_gamma=config["zero_gamma"],
                name=f"stage{stage}_block{index}",
                **shared,
            )(x)
        endpoints[f"stage{stage}"] = x
    endpoints["feature"] = keras.layers.GlobalAveragePooling3D(
        data_format="channels_last", dtype=dtype, name="feature"
    )(x)
    return endpoints


def _stem(x, stem, width, shared):
    frames, *sizes = stem.kernel_size
    if stem.middle is None:
        x = ConvNorm(
            width, stem.kernel_size, strides=stem.strides, name="stem_conv", **shared
        )(x)
    else:
        x = ConvNorm(
            stem.middle, (1, *sizes), strides=stem.strides, name="stem_space", **shared
        )(x)
        x = ConvNorm(width, (frames, 1, 1), name="stem_conv", **shared)(x)
    if stem.pool:
        dtype = shared["dtype"]
        x = MaxPool3D(3, strides=2, padding=1, dtype=dtype, name="stem_pool")(x)
    return x


def middle_channels(channels, width, config):
    """Channels between space and time of each factorised convolution of a block.

    As many as keep the weights of one 3x3x3 convolution.

    Args:
        channels: Input channels of the block.
        width: Output channels of its 3x3x3 convolutions.
        config: Arguments of :class:`ResNeXt3D`.

    Returns:
        One number for a bottleneck, two for a basic block.

    Reference:
        Tran et al., CVPR 2018, section 3.5.

    Example:

    >>> middle_channels(64, 128, {"block": "basic", "shared_middle": False})
    (230, 288)
    """

    def middle(inputs):
        return 27 * inputs * width // (9 * inputs + 3 * width)

    if config["block"] == "bottleneck":
        return (middle(channels if config["shared_middle"] else width),)
    first = middle(channels)
    return (first, first if config["shared_middle"] else middle(width))


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {tuple(choices)}. Received: {name}={value!r}"
        )
