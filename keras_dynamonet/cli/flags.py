"""Command-line flags made from the fields of a configuration class."""

import argparse
import dataclasses
from collections.abc import Iterable
from typing import Any

from keras_dynamonet.trained_models import shipped_models
from keras_dynamonet.training.settings import value_types


def add_model_argument(parser: argparse.ArgumentParser, **options: Any) -> None:
    """Adds the positional argument `model`: what `load_trained_model` takes.

    Args:
        parser: Gets the argument.
        options: More for `add_argument`.
    """
    parser.add_argument(
        "model",
        metavar="RUN",
        help="folder of a run, .keras file, or a model that comes with the package: "
        + ", ".join(shipped_models()),
        **options,
    )


def add_setting_flags(
    parser: argparse.ArgumentParser,
    config_class: type,
    *,
    leave_out: Iterable[str] = (),
) -> None:
    """Adds a flag for each setting, under the heading of its group.

    The help text, the choices and the default shown are those of the field. A flag that
    is not given leaves no trace, see :func:`given_settings`.

    Args:
        parser: Gets the flags.
        config_class: A dataclass made of `setting` fields.
        leave_out: Names of settings to offer no flag for.
    """
    groups = {}
    for field in dataclasses.fields(config_class):
        if not field.metadata["flag"] or field.name in leave_out:
            continue
        heading = field.metadata["group"]
        if heading not in groups:
            groups[heading] = parser.add_argument_group(heading)
        groups[heading].add_argument(
            f"--{field.name.replace('_', '-')}",
            dest=f"setting_{field.name}",
            default=argparse.SUPPRESS,
            help=_help(field),
            **_reading(field),
        )


def given_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings whose flags were given, by the name of their field."""
    return {
        name.removeprefix("setting_"): value
        for name, value in vars(arguments).items()
        if name.startswith("setting_")
    }


def _reading(field: dataclasses.Field) -> dict[str, Any]:
    """How argparse reads the value of a flag."""
    kind = value_types(field)[0]
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    if field.metadata["choices"]:
        return {"choices": field.metadata["choices"]}
    if kind is tuple:
        return {"type": float, "nargs": "+", "metavar": "SHARE"}
    metavar = field.metadata["metavar"] or {int: "N", float: "X"}.get(kind, "NAME")
    return {"type": kind, "metavar": metavar}


def _help(field: dataclasses.Field) -> str:
    text, default = field.metadata["help"], field.default
    if default is None or "default:" in text:
        return text.replace("%", "%%")
    if isinstance(default, bool):
        shown = "on" if default else "off"
    elif isinstance(default, tuple):
        shown = " ".join(map(str, default))
    else:
        shown = str(default)
    return f"{text} (default: {shown})".replace("%", "%%")
