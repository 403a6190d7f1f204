"""Checks that the layers share."""


def triple(value: int | tuple[int, int, int]) -> tuple[int, int, int]:
    """One size for frames, height and width, or one for each.

    Raises:
        ValueError: If there are not three sizes.

    Example:

    >>> triple(3), triple((1, 2, 2))
    ((3, 3, 3), (1, 2, 2))
    """
    sizes = (value,) * 3 if isinstance(value, int) else tuple(value)
    if len(sizes) != 3:
        raise ValueError(
            "A size must be an integer or one for frames, height and width each. "
            f"Received: {value!r}"
        )
    return sizes


def require_positive(**arguments: int | tuple[int, ...]) -> None:
    """Raises unless every number is at least 1.

    Raises:
        ValueError: Naming the first argument that is not.

    Example:

    >>> require_positive(filters=8, strides=(1, 2, 2))
    """
    for name, value in arguments.items():
        if min((value,) if isinstance(value, int) else value) < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}")


def require_known(shape: tuple[int | None, ...]) -> None:
    """Raises unless every size but that of the batch is known.

    Raises:
        ValueError: If a size is `None`.

    Example:

    >>> require_known((None, 16, 112, 112, 3))
    """
    if None in shape[1:]:
        raise ValueError(
            "Frames, height, width and channels of a clip must be known when the "
            f"layer is built. Received: shape {tuple(shape)}"
        )
