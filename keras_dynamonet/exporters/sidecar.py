"""The JSON file beside an artefact, checked before anything is believed of it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_dynamonet.data.clip_sampling import SHORT_VIDEO_POLICIES
from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.formats import FORMATS

ARTEFACT_KEYS = ("format", "precision", "outputs", "sha256")
"""What a program needs to load an artefact and to compare it."""
CLIP_KEYS = ("clip_frames", "frame_size", "fps", "frame_stride", "class_names")
"""What it needs to cut clips out of videos and to name what comes out."""

_KINDS = {None: "an artefact", "saved_model": "a SavedModel", "tensorrt": "an engine"}
_LONGEST_VALUE = 40


def sidecar_path(target: str | os.PathLike) -> Path:
    """Where the sidecar of an artefact lies: `model.onnx` -> `model.onnx.json`."""
    target = Path(target)
    return target.with_name(f"{target.name}.json")


def read_sidecar(
    path: str | os.PathLike,
    *,
    format: str | None = None,
    needs: tuple[str, ...] = ARTEFACT_KEYS,
) -> dict[str, Any]:
    """Reads a sidecar and checks everything that programs take from it.

    Args:
        path: The JSON file.
        format: The only format that will do. Default: any.
        needs: Keys that must be there; the others are checked where they are.

    Returns:
        The document.

    Raises:
        UserError: If the file cannot be read, is no JSON, lacks a key, belongs to
            another format, or has a value that cannot be.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is no JSON file.") from error
    problem = _problem(document, format, needs)
    if problem:
        kind = _KINDS.get(format, _KINDS[None])
        raise UserError(
            f"{path}: is not the sidecar of {kind}: {problem}. The sidecar of NAME is "
            "NAME.json beside it."
        )
    return document


def batch_range(sidecar: Mapping) -> tuple[int, int | None]:
    """Fewest and most clips in a batch; `None` for any number.

    Args:
        sidecar: A sidecar, or the part of it that the format wrote: a fixed batch, or
            the profile of an engine.

    Example:

    >>> batch_range({"engine": {"batches": [1, 2, 8]}}), batch_range({"batch": None})
    ((1, 8), (1, None))
    """
    if sidecar.get("batch"):
        return sidecar["batch"], sidecar["batch"]
    least, _, most = sidecar.get("engine", {}).get("batches", (1, None, None))
    return least, most


def _problem(document, format, needs):
    """What is wrong with a document; None if nothing is."""
    if not isinstance(document, dict):
        return "it is no JSON object"
    if format is not None and document.get("format") != format:
        return f"its `format` is not {format!r}"
    missing = [key for key in needs if key not in document]
    if missing:
        return f"it lacks {', '.join(f'`{key}`' for key in missing)}"
    for key, (holds, rule) in _RULES.items():
        if key in document and not holds(document[key]):
            return f"`{key}` must be {rule}. Received: {_shown(document[key])}"
    known = FORMATS[document["format"]].precisions if "format" in document else ()
    if "precision" in document and document["precision"] not in known:
        return (
            f"`precision` must be one of {', '.join(known)}. "
            f"Received: {_shown(document['precision'])}"
        )
    return None


def _shown(value):
    text = repr(value)
    short = len(text) <= _LONGEST_VALUE
    return text if short else f"{text[: _LONGEST_VALUE - 3]}..."


def _is_count(value):
    return type(value) is int and value >= 1  # True is no number here


def _is_number(value):
    return type(value) in (int, float) and 0 < value < float("inf")


def _are_strings(value):
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _are_counts(value, count):
    right = isinstance(value, list) and len(value) == count
    return right and all(map(_is_count, value))


def _is_engine(value):
    texts = ("flavour", "version", "onnx_sha256", "precision")
    return (
        isinstance(value, Mapping)
        and all(isinstance(value.get(name), str) for name in texts)
        and isinstance(value.get("platform", ""), str)
        and _are_strings(value.get("compute_capabilities"))
        and _are_counts(value.get("batches"), 3)
        and value["batches"] == sorted(value["batches"])
    )


_RULES = {
    "format": (
        lambda value: isinstance(value, str) and value in FORMATS,
        f"one of {', '.join(FORMATS)}",
    ),
    "outputs": (
        lambda value: isinstance(value, dict) and len(value) > 0,
        "shapes by the names of the outputs, at least one",
    ),
    "sha256": (lambda value: isinstance(value, str), "a hash in hex"),
    "batch": (lambda value: value is None or _is_count(value), "null or at least 1"),
    "signatures": (_are_strings, "a list of names"),
    "engine": (_is_engine, "the record of an engine"),
    "clip_frames": (_is_count, "at least 1"),
    "frame_size": (lambda value: _are_counts(value, 2), "height and width"),
    "fps": (lambda value: value is None or _is_number(value), "null or above 0"),
    "frame_stride": (_is_count, "at least 1"),
    "short_videos": (
        lambda value: value in SHORT_VIDEO_POLICIES,
        f"one of {', '.join(SHORT_VIDEO_POLICIES)}",
    ),
    "class_names": (
        lambda value: value is None or _are_strings(value),
        "null or a list of names",
    ),
}
"""By key: whether a value can be, and what it must be, in words."""
