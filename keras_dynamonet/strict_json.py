"""Documents that any reader of JSON takes."""

import math
from collections.abc import Mapping
from typing import Any


def strict(document: Any) -> Any:
    """The document without the numbers that JSON has no words for: they become null.

    Args:
        document: Of dictionaries, lists, tuples and what JSON has words for.

    Example:

    >>> strict({"psnr": float("inf"), "losses": (0.5, float("nan"))})
    {'psnr': None, 'losses': [0.5, None]}
    """
    if isinstance(document, Mapping):
        return {key: strict(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [strict(value) for value in document]
    if isinstance(document, float) and not math.isfinite(document):
        return None
    return document
