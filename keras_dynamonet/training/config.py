"""The settings of a training run."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_dynamonet.errors import UserError
from keras_dynamonet.files import atomic_path
from keras_dynamonet.training.settings import setting


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides the outcome of a training run.

    Two runs with equal configurations on equal data give equal weights. The meaning of
    each setting stands beside it, and in `dynamonet train --help`.

    Raises:
        UserError: If a value is out of range, is no known choice, or contradicts
            another one.

    Example:

    >>> config = TrainConfig(data="videos", run_dir="runs/first", epochs=10)
    >>> config.batch_size
    16
    """

    data: str = setting("", "data", "videos to train on", flag=False)
    run_dir: str = setting("", "data", "folder of the run", flag=False)
    layout: str = setting("auto", "data", "layout of DATA; recognised if not named")
    video_root: str | None = setting(
        None, "data", "folder that the paths in a list start from", metavar="FOLDER"
    )
    split: str | None = setting(
        None, "data", "part of DATA to train on; default: train, where it has parts"
    )
    validation: str | None = setting(
        None,
        "data",
        "videos to validate on; else DATA/validation, else a share",
        metavar="DATA",
    )
    validation_share: float = setting(
        0.1, "data", "share of DATA held out where nothing else is there to validate on"
    )
    unlabelled: str | None = setting(
        None,
        "data",
        "videos without labels, mixed in for the frame loss; of parts those of "
        "--split or train, and none of DATA, its parts or the validation",
        metavar="DATA",
    )
    labelled_share: float = setting(
        0.5,
        "data",
        "least share of clips with a label; labelled videos come again for it",
    )
    short_videos: str = setting(
        "loop",
        "data",
        "what to do with a video shorter than a clip",
        choices=("loop", "hold", "skip"),
    )
    bad_files: str = setting(
        "skip",
        "data",
        "what to do with a video that cannot be read",
        choices=("skip", "resample", "raise"),
    )
    max_bad_share: float = setting(
        0.1,
        "data",
        "stop when more than this share of the videos, and more than one, cannot be "
        "read",
    )

    task: str = setting(
        "actions",
        "model",
        "learn actions and next frames, or next frames alone",
        choices=("actions", "frames"),
        flag=False,
    )
    preset: str | None = setting(
        None,
        "model",
        "architecture by name, with --init of the backbone alone; default: that of "
        "--init, or nano-16f",
    )
    init: str | None = setting(
        None,
        "model",
        "run folder, .keras file or model of the package whose matching weights to "
        "start from",
        metavar="RUN",
    )
    freeze: str = setting(
        "none",
        "model",
        "keep the backbone as it is from the stem up to this stage",
        choices=("none", "stem", "stage1", "stage2", "stage3", "stage4"),
    )
    frozen_norm: str = setting(
        "with_stage",
        "model",
        "normalisations freeze with their stage, in the whole backbone, or go on "
        "adapting their statistics",
        choices=("with_stage", "frozen", "adapting"),
    )
    size: int | None = setting(None, "model", "height and width of frames in pixels")
    num_frames: int | None = setting(None, "model", "observed frames a clip")
    fps: float | None = setting(None, "model", "frames a second that clips are cut at")
    stride: int | None = setting(
        None, "model", "take every so many frames of the file, instead of --fps"
    )
    filter_source: str | None = setting(
        None,
        "model",
        "motion filters in closed form, from the network, or from both; default: "
        "solved for actions, generated for next frames alone (solved with --segments "
        "or --solver-maps), with --init as there",
        choices=("solved", "generated", "refined"),
    )
    generator_input: str | None = setting(
        None,
        "model",
        "where generated filters branch off: the pooled feature, as in the paper, or "
        "a stage that still has frames; default: stage1, with --init as there",
        choices=("feature", "stage1", "stage2", "stage3", "stage4"),
    )
    kernel_size: int | None = setting(None, "model", "side of the motion filters")
    segments: int | None = setting(
        None, "model", "solved filters a transition, each for pixels that move alike"
    )
    per_channel: bool | None = setting(
        None, "model", "a motion filter for each colour instead of one for all"
    )
    normalization: str | None = setting(
        None,
        "model",
        "what filters add up to; softmax, whose taps are positive, is for generated "
        "ones",
        choices=("none", "sum_to_one", "softmax"),
    )
    solver_maps: int | None = setting(
        None, "model", "learned maps that filters are solved on; default: brightness"
    )
    descriptor: str | None = setting(
        None,
        "model",
        "how the classifier reads the filters: by convolutions over time, or all side "
        "by side",
        choices=("temporal", "flatten"),
    )
    evidence: str | None = setting(
        None,
        "model",
        "what the classifier sees",
        choices=("both", "feature", "filters"),
    )
    motion_gradient: bool | None = setting(
        None, "model", "whether the action loss reaches the motion filters"
    )
    dropout: float | None = setting(
        None, "model", "share of the classifier's inputs dropped in training"
    )
    model: Mapping[str, Any] = setting(
        dict, "model", "further arguments of the model", flag=False
    )

    frame_loss: str | Mapping[str, float] = setting(
        "huber", "losses", "loss between predicted and real frames; a file may mix them"
    )
    frame_view: str = setting(
        "raw",
        "losses",
        "frames that the frame loss compares",
        choices=("raw", "high_pass", "whitened"),
    )
    loss_weighting: str = setting(
        "fixed",
        "losses",
        "sum the losses as they are, let that of actions grow in over the first "
        "--loss-warmup-epochs, or learn a scale for each",
        choices=("fixed", "warm_up", "uncertainty"),
    )
    loss_warmup_epochs: float = setting(
        5.0, "losses", "epochs in which the action loss grows in, for warm_up"
    )
    frame_loss_weight: float = setting(1.0, "losses", "weight of the frame loss")
    teacher_weight: float = setting(
        1.0, "losses", "weight of the distance of made filters to the best ones"
    )

    epochs: int = setting(30, "optimisation", "passes over the training videos")
    batch_size: int = setting(16, "optimisation", "clips a step, over all devices")
    optimizer: str = setting(
        "adamw", "optimisation", "sgd is Nesterov's", choices=("adamw", "sgd")
    )
    learning_rate: float = setting(1e-3, "optimisation", "highest learning rate")
    scale_learning_rate: str = setting(
        "none",
        "optimisation",
        "linear: the learning rates are meant for --learning-rate-batch clips a step "
        "and grow in proportion to --batch-size",
        choices=("none", "linear"),
    )
    learning_rate_batch: int = setting(
        16, "optimisation", "clips a step that linearly scaled rates are meant for"
    )
    sync_batch_norm: bool | None = setting(
        None,
        "optimisation",
        "with several devices, normalise with the statistics of all clips of a step; "
        "default: on with JAX, which always does, off with TensorFlow",
    )
    layer_decay: float = setting(
        1.0, "optimisation", "share of the learning rate that each lower stage has"
    )
    final_learning_rate: float = setting(
        0.01, "optimisation", "last learning rate, as a share of the highest"
    )
    warmup_epochs: float = setting(
        1.0, "optimisation", "epochs in which the learning rate grows linearly"
    )
    weight_decay: float = setting(
        0.01, "optimisation", "shrinks kernels by this times the learning rate a step"
    )
    momentum: float = setting(0.9, "optimisation", "momentum of sgd")
    clip_norm: float = setting(
        1.0, "optimisation", "longest gradient, taken over all weights; 0: no limit"
    )

    augment: bool = setting(True, "augmentation", "crop, flip and jitter clips")
    scales: tuple[float, ...] = setting(
        (1.0, 0.84, 0.71, 0.59, 0.5),
        "augmentation",
        "sides of the random crop, as shares of the short side",
    )
    corner_crop: bool = setting(
        True, "augmentation", "crop at the corners too, not only in the centre"
    )
    flip: bool = setting(True, "augmentation", "flip half of the clips left to right")
    brightness: float = setting(0.1, "augmentation", "largest share of white added")
    contrast: float = setting(0.2, "augmentation", "largest change around mid-grey")
    saturation: float = setting(0.2, "augmentation", "largest change of colourfulness")

    precision: str = setting(
        "float32",
        "running",
        "numbers to compute in",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    jit: bool = setting(False, "running", "compile the training step with XLA")
    steps_per_execution: int = setting(
        1, "running", "steps run in one go; losses are seen after the last of them"
    )
    seed: int = setting(0, "running", "seed of weights, data order and augmentation")
    deterministic: bool = setting(
        False, "running", "deterministic kernels only: equal runs on a GPU, but slower"
    )
    checkpoint_steps: int | None = setting(
        None, "running", "steps between checkpoints; default: every epoch"
    )
    workers: int | None = setting(
        None, "running", "threads that read videos; default: one a core, at most 16"
    )
    data_service: str | None = setting(
        None,
        "running",
        "dispatcher of a tf.data service that reads packed shards on other hosts",
        metavar="ADDRESS",
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            self._check_choice(field)
        for name in (
            "epochs",
            "batch_size",
            "learning_rate_batch",
            "steps_per_execution",
        ):
            self._require(name, getattr(self, name) >= 1, "must be at least 1")
        for name in (
            "checkpoint_steps",
            "workers",
            "size",
            "num_frames",
            "stride",
            "segments",
        ):
            value = getattr(self, name)
            self._require(name, value is None or value >= 1, "must be at least 1")
        # What NumPy takes as a seed.
        self._require("seed", 0 <= self.seed < 2**32, "must lie in [0, 2**32)")
        self._require("layer_decay", 0 < self.layer_decay <= 1, "must lie in (0, 1]")
        for name in ("learning_rate", "fps"):
            value = getattr(self, name)
            self._require(name, value is None or value > 0, "must be positive")
        for name in (
            "frame_loss_weight",
            "teacher_weight",
            "warmup_epochs",
            "loss_warmup_epochs",
            "weight_decay",
            "clip_norm",
        ):
            self._require(name, getattr(self, name) >= 0, "must not be negative")
        for name in (
            "max_bad_share",
            "final_learning_rate",
            "brightness",
            "contrast",
            "saturation",
        ):
            self._require(name, 0 <= getattr(self, name) <= 1, "must lie in [0, 1]")
        maps = self.solver_maps
        self._require("solver_maps", not maps or maps > 0, "must not be negative")
        for name in ("validation_share", "labelled_share", "momentum", "dropout"):
            value = getattr(self, name)
            self._require(name, value is None or 0 <= value < 1, "must lie in [0, 1)")
        self._require(
            "scales",
            self.scales and all(0.1 <= scale <= 1 for scale in self.scales),
            "must be shares from 0.1 to 1",
        )
        self._require(
            "frame_loss_weight",
            self.task == "actions" or self.frame_loss_weight or self.teacher_weight,
            "must be positive to learn from frames alone without a teacher",
        )
        self._require(
            "stride", self.stride is None or self.fps is None, "excludes `fps`"
        )

    def _check_choice(self, field: dataclasses.Field) -> None:
        value, choices = getattr(self, field.name), field.metadata["choices"]
        if value is not None and choices and value not in choices:
            raise UserError(
                f"`{field.name}` must be one of {', '.join(choices)}. "
                f"Received: {field.name}={value!r}."
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(
                f"`{field.name}` must be finite. Received: {field.name}={value}."
            )

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise UserError(f"`{name}` {rule}. Received: {name}={getattr(self, name)}.")

    @property
    def idle_settings(self) -> dict[str, str]:
        """Settings that were changed, but have no effect, and what they would need."""
        needs = {
            "loss_warmup_epochs": ("loss_weighting", "warm_up"),
            "momentum": ("optimizer", "sgd"),
            "learning_rate_batch": ("scale_learning_rate", "linear"),
        }
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        idle = {
            name: f"{needed}={value}"
            for name, (needed, value) in needs.items()
            if getattr(self, name) != defaults[name] and getattr(self, needed) != value
        }
        if self.labelled_share != defaults["labelled_share"] and not self.unlabelled:
            idle["labelled_share"] = "unlabelled=DATA"
        if self.frozen_norm != defaults["frozen_norm"] and self.freeze == "none":
            idle["frozen_norm"] = "freeze=STAGE"
        if self.task == "frames" and self.loss_weighting == "warm_up":
            idle["loss_weighting"] = "a loss of actions, which warm_up lets grow in"
        return idle

    @property
    def peak_learning_rate(self) -> float:
        """The highest learning rate, scaled to the size of a step if asked for.

        `linear` follows Goyal et al., 2017: `k` times the clips a step, `k` times the
        learning rate.
        """
        if self.scale_learning_rate == "linear":
            return self.learning_rate * self.batch_size / self.learning_rate_batch
        return self.learning_rate

    def to_dict(self) -> dict[str, Any]:
        """All settings, ready for JSON."""
        return {**dataclasses.asdict(self), "scales": list(self.scales)}

    def save(self, path: str | Path) -> None:
        """Writes all settings as JSON, for `load_settings` to read."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(self.to_dict(), indent=2) + "\n")
