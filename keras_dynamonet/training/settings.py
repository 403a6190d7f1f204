"""Dataclasses whose fields become flags, file entries and help texts alike."""

import dataclasses
import difflib
import json
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

from keras_dynamonet.errors import UserError

Config = TypeVar("Config")


def setting(
    default: Any,
    group: str,
    help: str,
    *,
    choices: tuple[str, ...] | None = None,
    metavar: str | None = None,
    flag: bool = True,
) -> Any:
    """A dataclass field that knows its help text.

    Args:
        default: The default, or a function without arguments that makes it.
        group: Heading that the flag is listed under.
        help: What `--help` says.
        choices: The values allowed, where there are few.
        metavar: What stands for the value in `--help`; by default that of its type.
        flag: Whether the command line offers it; otherwise only a file can set it.
    """
    metadata = {
        "group": group,
        "help": help,
        "choices": choices,
        "metavar": metavar,
        "flag": flag,
    }
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def load_settings(path: str | Path) -> dict[str, Any]:
    """Reads names and values from a `.toml` or `.json` file.

    Raises:
        UserError: If the file is missing, is neither TOML nor JSON, or does not parse.
    """
    path = Path(path)
    parsers = {".toml": tomllib.loads, ".json": json.loads}
    if path.suffix not in parsers:
        raise UserError(f"{path}: a configuration must end in .toml or .json.")
    try:
        document = parsers[path.suffix](path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UserError(f"{path}: is no valid {path.suffix[1:]}: {error}.") from error
    if not isinstance(document, dict):
        raise UserError(f"{path}: must hold names and values (a JSON object).")
    return document


def from_settings(config_class: type[Config], settings: Mapping[str, Any]) -> Config:
    """A configuration from names and values, each checked.

    Whole numbers are accepted for floats and lists for tuples.

    Args:
        config_class: A dataclass made of :func:`setting` fields.
        settings: Names of fields and their values.

    Raises:
        UserError: If a name is unknown or a value has the wrong type.

    Example:

    >>> from keras_dynamonet.training.config import TrainConfig
    >>> from_settings(TrainConfig, {"epochs": 3}).epochs
    3
    >>> from_settings(TrainConfig, {"epoch": 3})
    Traceback (most recent call last):
    ...
    keras_dynamonet.errors.UserError: Unknown setting `epoch`; did you mean `epochs`?
    """
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    for name in settings:
        if name not in fields:
            close = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"known: {_list(fields)}"
            raise UserError(f"Unknown setting `{name}`; {hint}")
    return config_class(
        **{name: _checked(fields[name], value) for name, value in settings.items()}
    )


def value_types(field: dataclasses.Field) -> tuple[type, ...]:
    """The types of a field's values but `None`, e.g. `(int,)` for `int | None`."""
    union = get_origin(field.type) in (types.UnionType, Union)
    members = get_args(field.type) if union else (field.type,)
    return tuple(get_origin(kind) or kind for kind in members if kind is not type(None))


def is_optional(field: dataclasses.Field) -> bool:
    """Whether a field may be `None`."""
    return type(None) in get_args(field.type)


def _checked(field: dataclasses.Field, value: Any) -> Any:
    kinds = value_types(field)
    if value is None and is_optional(field):
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and float in kinds:
        return float(value)
    if tuple in kinds and isinstance(value, list | tuple):
        if all(isinstance(x, int | float) for x in value):
            return tuple(float(x) for x in value)
    if isinstance(value, kinds) and isinstance(value, bool) == (bool in kinds):
        return value
    names = {tuple: "list of numbers", Mapping: "table of names and values"}
    wanted = " or ".join(names.get(kind, kind.__name__) for kind in kinds)
    raise UserError(
        f"`{field.name}` must be of type {wanted}. Received: {field.name}={value!r}."
    )


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) + "."
