"""Normalising of layer arguments."""


def triple(value: int | tuple[int, int, int]) -> tuple[int, int, int]:
    """One size for frames, height and width, or one for each.

    Example:

    >>> triple(3), triple((1, 2, 2))
    ((3, 3, 3), (1, 2, 2))
    """
    return (value,) * 3 if isinstance(value, int) else tuple(value)
