"""The fastest form of a convolution on a CPU, as measured."""

import json
from importlib.resources import files

FORMS_FILE = files("keras_dynamonet.layers") / "convolution_forms.json"
CPU_FORMS = json.loads(FORMS_FILE.read_text(encoding="utf-8"))
"""Form by kernels (`backend_ops.cpu_kernels`), task (`"forward"` or `"training"`),
kind and number of filters: that which takes the least time of a convolution of our
networks. Written by `python -m benchmarks.convolutions --write`."""

KINDS = ("pixels", "pointwise", "dense", "few_groups", "many_groups")
"""Convolutions that are alike in what is fast: of a clip of pixels (the stem), without
taps, without groups, as in `nano`, and as in ResNeXt."""

_PIXEL_CHANNELS = 4
_MANY_GROUPS = 32


def kind_of(kernel_size: tuple[int, int, int], channels: int, groups: int) -> str:
    """The kind of a convolution, one of :data:`KINDS`.

    Args:
        kernel_size: Along frames, height and width.
        channels: Of its input.
        groups: Of channels.

    Example:

    >>> kind_of((7, 7, 7), channels=3, groups=1)
    'pixels'
    """
    if groups > 1:
        return "many_groups" if groups >= _MANY_GROUPS else "few_groups"
    if max(kernel_size) == 1:
        return "pointwise"
    # Without temporal taps it is one 2D convolution, whatever it sees.
    pixels = kernel_size[0] > 1 and channels <= _PIXEL_CHANNELS
    return "pixels" if pixels else "dense"


def fastest_form(kernels: str, task: str, kind: str, filters: int) -> str:
    """The form of the measured convolution that is most like one.

    Args:
        kernels: Whose kernels compute, see `backend_ops.cpu_kernels`.
        task: `"forward"` or `"training"`.
        kind: One of :data:`KINDS`.
        filters: Number of output channels; the measured one with the nearest logarithm
            counts, of two as near the smaller.

    Example:

    >>> fastest_form("tensorflow", "training", "pixels", 64)
    'native'
    """
    forms = CPU_FORMS[kernels][task][kind]

    def distance(width):
        width = int(width)
        return max(width, filters) / min(width, filters), width

    return forms[min(forms, key=distance)]
