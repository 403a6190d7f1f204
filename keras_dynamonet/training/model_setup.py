"""The model of a run: from a preset, or from another model's architecture and weights.

Weights are taken over wherever the layer's path and the shape of the weight agree, so
that a backbone trained on other classes, or on no labels at all, can be the start.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras

from keras_dynamonet.errors import UserError
from keras_dynamonet.layers.backend_ops import num_replicas
from keras_dynamonet.models.dynamonet import DynamoNet
from keras_dynamonet.models.presets import PRESETS, preset_config
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.fine_tuning import freeze, layer_rate_scales
from keras_dynamonet.training.optimizers import make_optimizer
from keras_dynamonet.training.trained_model import TrainedModel, load_trained_model

logger = logging.getLogger(__name__)

DEFAULT_PRESET = "nano-16f"
DEFAULT_FPS = 12.0

MODEL_ARGUMENTS = (
    "filter_source",
    "generator_input",
    "kernel_size",
    "segments",
    "per_channel",
    "normalization",
    "solver_maps",
    "descriptor",
    "evidence",
    "motion_gradient",
    "dropout",
)
"""Settings that are arguments of the network by the same name."""


@dataclass(frozen=True)
class WeightTransfer:
    """What :func:`copy_weights` did.

    Args:
        copied: Paths of the variables that were taken over.
        kept: Paths of those that keep their fresh values.
        left: Paths in the source for which there was no place.
    """

    copied: tuple[str, ...]
    kept: tuple[str, ...]
    left: tuple[str, ...]


def build_model(config: TrainConfig, class_names: Sequence[str] | None) -> keras.Model:
    """The model that a configuration describes, with its starting weights.

    Args:
        config: The run's configuration.
        class_names: Names of the classes, or `None` to learn frames alone.

    Raises:
        UserError: If the preset is unknown, an argument does not fit the model, or
            nothing of `config.init` fits.
    """
    model = _starting_model(config, class_names)
    if config.task == "frames":
        _tell_what_frames_teach(model)
    _tell_what_has_no_effect(config, model)
    return model


def _starting_model(
    config: TrainConfig, class_names: Sequence[str] | None
) -> keras.Model:
    if config.init is None:
        return _from_preset(config, class_names)
    trained = load_trained_model(config.init)
    source = trained.model
    model = _like(trained, config, class_names)
    # A head trained on other classes would name the new ones wrongly.
    same_classes = source.class_names == model.class_names
    transfer = copy_weights(source, model, skip=() if same_classes else ("action/",))
    if not any("backbone" in path or "conv" in path for path in transfer.copied):
        raise UserError(
            f"{config.init}: none of its convolutions fits the model. Leave out "
            "--preset to take its architecture over."
        )
    logger.info(
        "Took over %d of %d variables from %s; fresh: %s; left there: %s",
        len(transfer.copied),
        len(transfer.copied) + len(transfer.kept),
        config.init,
        ", ".join(transfer.kept) or "none",
        ", ".join(transfer.left) or "none",
    )
    return model


def _tell_what_frames_teach(model: keras.Model) -> None:
    if model.filter_source == "solved":
        logger.warning(
            "solved filters do not come from the backbone: frames alone teach it "
            "nothing (--filter-source generated does)"
        )
    elif model.generator_input not in ("feature", "stage4"):
        logger.info(
            "frames alone teach the backbone up to %s, where the filters branch off; "
            "--generator-input feature reaches all of it",
            model.generator_input,
        )


def _tell_what_has_no_effect(config: TrainConfig, model: keras.Model) -> None:
    idle = config.idle_settings
    fixed = model.filter_source == "solved" and not model.solver_maps
    if config.generator_input is not None and model.filter_source == "solved":
        idle["generator_input"] = "filter_source=generated or refined"
    if config.motion_gradient is False and fixed:
        idle["motion_gradient"] = "filter_source=generated or refined, or solver_maps"
    for name in ("motion_gradient", "descriptor"):
        if getattr(config, name) is not None and model.evidence == "feature":
            idle[name] = "evidence=both or filters"
    for name, need in idle.items():
        logger.warning("`%s` has no effect without %s", name, need)
    growing = config.task == "actions" and config.loss_weighting == "warm_up"
    if growing and config.epochs < config.loss_warmup_epochs:
        logger.warning(
            "the action loss grows in over %g epochs and there are %d: it does not "
            "reach its whole weight (`loss_warmup_epochs`)",
            config.loss_warmup_epochs,
            config.epochs,
        )
    if config.task == "actions" and model.evidence == "filters" and fixed:
        logger.warning(
            "with solved filters as the only evidence nothing teaches the backbone"
        )


def compile_model(
    model: keras.Model, config: TrainConfig, steps_per_epoch: int
) -> None:
    """Compiles a model with the optimizer and losses of a configuration.

    What the configuration freezes is frozen first, and normalisations are synchronised.

    Raises:
        UserError: If the frame loss is unknown.
    """
    until = None if config.freeze == "none" else config.freeze
    freeze(model, until, batch_norm=config.frozen_norm)
    several = keras.backend.backend() == "tensorflow" and num_replicas() > 1
    if config.sync_batch_norm and several:  # one device has the faster kernel
        synchronise_batch_norm(model)
    scales = None
    if config.layer_decay < 1:
        scales = layer_rate_scales(model, config.layer_decay)
    # An epoch of 3 steps, run 2 at a time, would have 4 that are counted as 3.
    at_once = math.gcd(config.steps_per_execution, steps_per_epoch)
    if at_once < config.steps_per_execution:
        logger.info(
            "an epoch of %d steps is run %d at a time, not %d",
            steps_per_epoch,
            at_once,
            config.steps_per_execution,
        )
    loss_warmup_steps = config.loss_warmup_epochs * steps_per_epoch
    try:
        model.compile(
            optimizer=make_optimizer(config, steps_per_epoch, scales),
            frame_loss=config.frame_loss,
            frame_view=config.frame_view,
            loss_weighting=config.loss_weighting,
            loss_warmup_steps=max(1, round(loss_warmup_steps)),
            action_loss_weight=1.0 if config.task == "actions" else 0.0,
            frame_loss_weight=config.frame_loss_weight,
            teacher_weight=config.teacher_weight,
            # Uncompiled, JAX would run a step operation by operation.
            jit_compile=config.jit or keras.backend.backend() == "jax",
            steps_per_execution=at_once,
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    # Variables made while `fit` traces its step would make it trace a second time.
    model.optimizer.build(model.trainable_variables)


def synchronise_batch_norm(model: keras.Model) -> None:
    """Lets the normalisations of all replicas share the statistics of their clips.

    For TensorFlow; it is a matter of the training, and no part of the model's file.
    """
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def copy_weights(
    source: keras.Model, target: keras.Model, *, skip: tuple[str, ...] = ()
) -> WeightTransfer:
    """Copies every variable whose path and shape agree in both models.

    Args:
        source: Where to take from.
        target: Changed in place.
        skip: Beginnings of paths to leave as they are, e.g. `("action/",)`.

    Returns:
        What was copied and what was not.
    """
    available = {_path(source, v): v for v in source.weights}
    copied, kept = [], []
    for variable in target.weights:
        path = _path(target, variable)
        other = available.get(path)
        fits = other is not None and tuple(other.shape) == tuple(variable.shape)
        if fits and not path.startswith(skip):
            variable.assign(other)
            copied.append(path)
        else:
            kept.append(path)
    left = available.keys() - set(copied)
    return WeightTransfer(tuple(copied), tuple(kept), tuple(sorted(left)))


def _from_preset(config: TrainConfig, class_names: Sequence[str] | None) -> keras.Model:
    preset = _known(config.preset or DEFAULT_PRESET)
    arguments, backbone = _arguments(config)
    if config.task == "frames" and not _needs_solved_filters(arguments):
        # They do not come from the backbone, which frames alone would not teach then.
        arguments.setdefault("filter_source", "generated")
    try:
        return DynamoNet.from_preset(
            preset,
            num_classes=len(class_names) if class_names else 1,
            class_names=class_names,
            size=config.size,
            backbone=backbone,
            **_pace(config, fps=DEFAULT_FPS, stride=1),
            **arguments,
        )
    except (TypeError, ValueError) as error:
        raise UserError(f"The model cannot be built: {error}") from error


def _known(preset: str) -> str:
    if preset not in PRESETS:
        raise UserError(f"`--preset {preset}` is unknown. Known: {', '.join(PRESETS)}.")
    return preset


def _needs_solved_filters(arguments: Mapping) -> bool:
    return arguments.get("segments", 1) != 1 or bool(arguments.get("solver_maps"))


def _like(
    trained: TrainedModel, config: TrainConfig, class_names: Sequence[str] | None
) -> keras.Model:
    """A model of the same architecture for other classes, frames or arguments.

    A preset stands for the backbone alone: what was trained on frames would be lost
    with other filters than those of the start.
    """
    settings = trained.model.get_config()
    arguments, backbone = _arguments(config)
    if config.preset is not None:
        settings["backbone"]["config"] = preset_config(_known(config.preset))
    if config.size is not None:
        backbone["size"] = config.size
    settings["backbone"]["config"].update(backbone)
    settings.update(
        arguments,
        num_classes=len(class_names) if class_names else 1,
        class_names=list(class_names) if class_names else None,
        name=None,
        dtype=None,
        **_pace(config, fps=trained.spec.fps, stride=trained.spec.stride),
    )
    settings["backbone"]["config"]["dtype"] = None  # that of the new run
    try:
        return DynamoNet.from_config(settings)
    except (TypeError, ValueError) as error:
        raise UserError(f"The model cannot be built: {error}") from error


def _arguments(config: TrainConfig) -> tuple[dict, dict]:
    """What the configuration says of the network, and of its backbone."""
    arguments = dict(config.model)
    backbone = arguments.pop("backbone", {})
    if not isinstance(backbone, Mapping):
        raise UserError(
            "The model cannot be built: `backbone` must be a table of settings. "
            f"Received: {backbone!r}"
        )
    backbone = dict(backbone)
    if config.num_frames is not None:
        backbone["num_frames"] = config.num_frames
    for name in MODEL_ARGUMENTS:
        if getattr(config, name) is not None:
            arguments[name] = getattr(config, name)
    return arguments, backbone


def _pace(config: TrainConfig, *, fps: float | None, stride: int) -> dict:
    """The pace that the configuration names, else the given one."""
    if config.stride is not None:
        return {"fps": None, "stride": config.stride}
    if config.fps is not None:
        return {"fps": config.fps, "stride": 1}
    return {"fps": fps, "stride": stride}


def _path(model: keras.Model, variable: keras.Variable) -> str:
    """A variable's path below the model, whose own name may differ."""
    return variable.path.removeprefix(f"{model.name}/")
