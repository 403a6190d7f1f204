"""`dynamonet train` and `dynamonet pretrain`: from video files to a model."""

import argparse
import contextlib
import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dynamonet.cli.argument_types import local_path
from keras_dynamonet.cli.flags import add_setting_flags, given_settings
from keras_dynamonet.cli.losses_line import epoch_line
from keras_dynamonet.cli.output import (
    load_tensorflow,
    print_json,
    result_console,
    say,
)
from keras_dynamonet.cli.supervision import (
    end_with_parent,
    is_supervised,
    leave_at_once,
    run_supervised,
)
from keras_dynamonet.data.places import is_remote
from keras_dynamonet.errors import UsageError, UserError
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.experiments import EXPERIMENTS, experiment_settings
from keras_dynamonet.training.run_directory import RunDirectory, load_run_config
from keras_dynamonet.training.settings import from_settings, load_settings

if TYPE_CHECKING:
    from keras_dynamonet.training.distribution import Distribution
    from keras_dynamonet.training.trainer import RunResult

TRAIN_EXAMPLES = """\
examples:
  dynamonet train videos --run runs/first --epochs 20
  dynamonet train videos --unlabelled more_videos --run runs/semi
  dynamonet train videos --init runs/pretrain --run runs/tuned
  dynamonet train --resume runs/first
  dynamonet train videos --devices 8 --batch-size 128 --scale-learning-rate linear
  KERAS_BACKEND=jax srun dynamonet train videos --coordinator auto --run runs/many
"""

PRETRAIN_EXAMPLES = """\
examples:
  dynamonet pretrain videos --run runs/pretrain --preset resnet18-16f
  dynamonet train labelled_videos --init runs/pretrain --run runs/tuned
"""

DATA_HELP = (
    "videos: a folder of class folders, a CSV or text list, or a split file of UCF101, "
    "HMDB51 or Kinetics"
)
LABELS_ONLY = (
    "unlabelled",
    "labelled_share",
    "descriptor",
    "evidence",
    "motion_gradient",
    "dropout",
    "loss_warmup_epochs",
)
"""Settings that say nothing where no label is learnt."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds both programs to the command `dynamonet`."""
    train = subparsers.add_parser(
        "train",
        help="learn actions from labelled videos",
        usage="dynamonet train DATA [--run RUN] [settings]\n"
        "       dynamonet train --resume RUN",
        description="Learns actions and next frames from videos.",
        epilog=TRAIN_EXAMPLES,
    )
    train.add_argument("data", metavar="DATA", nargs="?", help=DATA_HELP)
    add_setting_flags(train, TrainConfig)
    train.set_defaults(task="actions", home="runs/train")

    pretrain = subparsers.add_parser(
        "pretrain",
        help="learn to predict frames from any videos",
        usage="dynamonet pretrain DATA [--run RUN] [settings]\n"
        "       dynamonet pretrain --resume RUN",
        description="Learns to predict next frames; needs no labels.",
        epilog=PRETRAIN_EXAMPLES,
    )
    pretrain.add_argument(
        "data", metavar="DATA", nargs="?", help="videos: a folder, a list or one file"
    )
    add_setting_flags(pretrain, TrainConfig, leave_out=LABELS_ONLY)
    pretrain.set_defaults(task="frames", home="runs/pretrain")

    for parser in (train, pretrain):
        _add_machine_flags(parser)
        parser.add_argument(
            "--run",
            type=local_path,
            metavar="RUN",
            dest="run_dir",
            help=f"folder to write the run to (default: {parser.get_default('home')})",
        )
        parser.add_argument(
            "--resume", metavar="RUN", help="go on with a run that was stopped"
        )
        parser.add_argument(
            "--overwrite", action="store_true", help="replace an earlier run in RUN"
        )
        parser.add_argument(
            "--experiment",
            choices=tuple(EXPERIMENTS),
            help="start from the settings of a published recipe",
        )
        parser.add_argument(
            "--config",
            metavar="FILE",
            help="settings as TOML or JSON, e.g. another run's config.json; "
            "has the last word over --experiment, and flags over both",
        )
        parser.add_argument(
            "--json", action="store_true", help="print the outcome as JSON"
        )
        parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trains, or goes on training."""
    if arguments.coordinator is not None and not is_supervised():
        return run_supervised(arguments.argv)
    if arguments.resume is not None:
        _refuse_other_arguments(arguments)
        config = load_run_config(RunDirectory(arguments.resume))
    else:
        config = make_config(arguments)
        # Told at once rather than when TensorFlow is loaded.
        RunDirectory(config.run_dir).check_free(overwrite=arguments.overwrite)
        _refuse_missing(config)
    load_tensorflow(verbose=arguments.verbose)
    from keras_dynamonet.training.machines import Machines, join

    names = ("devices", "coordinator", "processes", "process_index")
    distribution = join(Machines(**{name: getattr(arguments, name) for name in names}))
    if distribution.is_main:
        _show(config, distribution)
    else:
        logging.getLogger("keras_dynamonet").setLevel(logging.WARNING)
    if distribution.num_processes == 1:
        result = _train(arguments, config, distribution)
    else:
        end_with_parent()
        with leave_at_once():
            result = _train(arguments, config, distribution)
    if distribution.is_main:
        _report(arguments, result)
    return 0


def _train(
    arguments: argparse.Namespace, config: TrainConfig, distribution: "Distribution"
) -> "RunResult":
    from keras_dynamonet.cli.progress import TrainingProgress
    from keras_dynamonet.training.trainer import resume, train

    with contextlib.ExitStack() as stack:
        shared = {"distribution": distribution}
        if distribution.is_main:
            shared["callbacks"] = [stack.enter_context(TrainingProgress())]
        if arguments.resume is not None:
            return resume(arguments.resume, **shared)
        return train(config, overwrite=arguments.overwrite, **shared)


def _report(arguments: argparse.Namespace, result: "RunResult") -> None:
    outcome = {
        "run": str(result.run.path),
        "best_model": str(result.run.best),
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
        "bad_files": result.bad_files,
        **{name: value for name, value in result.best.items() if name != "epoch"},
    }
    if arguments.json:
        print_json(outcome)
    else:
        _show_outcome(outcome, learnt_actions="accuracy" in outcome)


def make_config(arguments: argparse.Namespace) -> TrainConfig:
    """The configuration that experiment, file and flags make together.

    Raises:
        UsageError: If a setting is unknown or wrong, or DATA is missing.
        UserError: If the file cannot be read.
    """
    settings: dict[str, Any] = {}
    if arguments.experiment is not None:
        _set(settings, experiment_settings(arguments.experiment))
    if arguments.config is not None:
        _set(settings, load_settings(arguments.config))
    _set(settings, {**given_settings(arguments), "task": arguments.task})
    if arguments.data is not None:
        settings["data"] = arguments.data
    # A file's run_dir is that of the run it comes from.
    settings["run_dir"] = arguments.run_dir or arguments.home
    try:
        config = from_settings(TrainConfig, settings)
    except UserError as error:
        raise UsageError(str(error)) from error
    if not config.data:
        raise UsageError("no videos named: give DATA, or --resume RUN.")
    return config


def _set(settings: dict[str, Any], later: Mapping[str, Any]) -> None:
    """Settings that count more: a rate of frames replaces a stride, and vice versa."""
    for name, other in (("fps", "stride"), ("stride", "fps")):
        if later.get(name) is not None and later.get(other) is None:
            settings.pop(other, None)
    settings.update(later)


def _refuse_missing(config: TrainConfig) -> None:
    for data in (config.data, config.validation, config.unlabelled):
        if data is not None and not is_remote(data) and not Path(data).exists():
            raise UserError(f"{data}: no such file or folder.")


def _refuse_other_arguments(arguments: argparse.Namespace) -> None:
    others = [f"--{name.replace('_', '-')}" for name in given_settings(arguments)]
    for name, flag in (
        ("data", "DATA"),
        ("run_dir", "--run"),
        ("experiment", "--experiment"),
        ("config", "--config"),
        ("overwrite", "--overwrite"),
    ):
        if getattr(arguments, name):
            others.append(flag)
    if others:
        raise UsageError(
            f"--resume goes on with the run's own settings; leave out "
            f"{', '.join(others)}, or start a new run with --init {arguments.resume}."
        )


def _add_machine_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "machines", "what to compute on; --resume takes them, too"
    )
    group.add_argument(
        "--devices",
        type=int,
        metavar="N",
        help="devices, e.g. GPUs, of each process (default: 1; with --coordinator what "
        "JAX gives it: under SLURM and Open MPI one, else all)",
    )
    group.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="address of process 0, for several processes (needs KERAS_BACKEND=jax); "
        "auto: found from SLURM, Open MPI or Kubernetes",
    )
    group.add_argument("--processes", type=int, metavar="N", help="number of processes")
    group.add_argument(
        "--process-index", type=int, metavar="N", help="which of them this is, from 0"
    )


def _show(config: TrainConfig, distribution: "Distribution") -> None:
    """Writes all settings, a line for each group."""
    groups: dict[str, list[str]] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
        if value is not None and value != {}:
            pair = f"{field.name}={shown}"
            groups.setdefault(field.metadata["group"], []).append(pair)
    shares = distribution.describe(config).items()
    groups["distribution"] = [f"{name}={value}" for name, value in shares]
    for heading, pairs in groups.items():
        say(f"{heading + ':':<14}{'  '.join(pairs)}")


def _show_outcome(outcome: dict[str, Any], *, learnt_actions: bool) -> None:
    console = result_console()
    losses = {k: v for k, v in outcome.items() if k != "clips_per_second"}
    console.print(
        f"Best epoch: {outcome['best_epoch']} of {outcome['epochs']}: "
        f"{epoch_line(losses)}"
    )
    console.print(f"Model: {outcome['best_model']}", markup=False)
    if learnt_actions:
        console.print(f"Next: dynamonet evaluate {outcome['run']} DATA", markup=False)
    else:
        next_command = f"dynamonet train DATA --init {outcome['run']}"
        console.print(f"Next: {next_command}", markup=False)
