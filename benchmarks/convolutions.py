"""The forms of the 3D convolution beside one another, forward and in training.

    python -m benchmarks.convolutions
    python -m benchmarks.convolutions --backends tensorflow jax torch --size 64
    python -m benchmarks.convolutions --backends tensorflow --dtype float16

What `form="auto"` of `GroupedConv3D` takes on a CPU comes from here: for each backend
and task the form with the least time over the convolutions of pixels, whose own
gradient nobody asks for, of features, and of features in many groups.
"""

import argparse
from typing import NamedTuple

from benchmarks.contestant import Contestant
from benchmarks.options import add_size, benchmark_parser, race_options, run
from benchmarks.race import race
from benchmarks.tables import Table
from keras_dynamonet.layers.grouped_conv3d import kind_of

_WORK = "benchmarks.convolutions_work:convolution"
FORMS = ("native", "planar", "stacked")
TASKS = ("forward", "training")
BACKENDS = ("tensorflow", "jax", "torch")
TIE = 1.05
"""Times of a round that are no further apart count as equal."""
# Sums over all pixels of a batch, in another order.
TOLERANCES = {"float32": 1e-3, "bfloat16": 5e-2, "float16": 1e-2}


class Kind(NamedTuple):
    """A convolution of the networks.

    Args:
        name: For the table.
        shrunk: By how much frames, height and width are smaller than the clip's.
        channels: Of its input.
        filters: Of its output.
        kernel_size: Along frames, height and width.
        strides: Likewise.
        groups: Of channels.
    """

    name: str
    shrunk: tuple[int, int, int]
    channels: int
    filters: int
    kernel_size: tuple[int, int, int] = (3, 3, 3)
    strides: tuple[int, int, int] = (1, 1, 1)
    groups: int = 1

    @property
    def gradients(self) -> int:
        """Those that training takes: of the kernel, and of an input that has any."""
        return 1 if self.channels == 3 else 2

    def part(self, dtype: str) -> str:
        """The part of `CPU_FORMS` that it stands for."""
        return kind_of(self.kernel_size, self.channels, self.groups, dtype)


KINDS = (
    Kind("stem, 7x7x7, stride 1x2x2", (1, 1, 1), 3, 64, (7, 7, 7), (1, 2, 2)),
    Kind("coarse stem, 3x7x7, stride 2x4x4", (1, 1, 1), 3, 16, (3, 7, 7), (2, 4, 4)),
    Kind("stage 1, 1x1x1", (2, 4, 4), 256, 128, (1, 1, 1)),
    Kind("stage 1, 3x3x3", (2, 4, 4), 64, 64),
    Kind("nano, 3x3x3, 4 groups", (2, 4, 4), 16, 16, groups=4),
    Kind("stage 1, 3x3x3, 32 groups", (2, 4, 4), 128, 128, groups=32),
    Kind(
        *("stage 2, 3x3x3, 32 groups, stride 2", (2, 4, 4), 256, 256),
        strides=(2, 2, 2),
        groups=32,
    ),
    Kind("stage 3, 3x3x3, 32 groups", (8, 16, 16), 512, 512, groups=32),
    Kind("stage 4, 3x3x3, 32 groups", (16, 32, 32), 1024, 1024, groups=32),
)


def contestants(arguments: argparse.Namespace, kind: Kind, backend: str, task: str):
    """One for each form."""
    shape = (arguments.frames, arguments.size, arguments.size)
    sizes = [-(-side // by) for side, by in zip(shape, kind.shrunk, strict=True)]
    settings = {
        "batch": arguments.batch,
        "shape": [*sizes, kind.channels],
        "layer": {
            "filters": kind.filters,
            "kernel_size": kind.kernel_size,
            "strides": kind.strides,
            "groups": kind.groups,
            "dtype": arguments.dtype,
        },
        "gradients": kind.gradients if task == "training" else 0,
    }
    return [
        Contestant(
            form,
            _WORK,
            {**settings, "form": form},
            arguments.threads,
            environment={"KERAS_BACKEND": backend},
        )
        for form in FORMS
    ]


def measure(arguments: argparse.Namespace) -> list[Table]:
    """A table for each backend and task."""
    tables = []
    for backend in arguments.backends:
        for task in arguments.tasks:
            table = Table(
                f"Forms of the convolution, {backend}, {task}, batch "
                f"{arguments.batch}, {arguments.frames}x{arguments.size}x"
                f"{arguments.size}, {arguments.dtype}, ms",
                ("convolution", *FORMS, f"within {TIE - 1:.0%} of the fastest"),
            )
            sums = {}
            for kind in KINDS:
                if arguments.kinds and kind.name not in arguments.kinds:
                    continue
                results = race(
                    contestants(arguments, kind, backend, task),
                    tolerances={"": TOLERANCES[arguments.dtype]},
                    **race_options(arguments),
                )
                best = min(results.values(), key=lambda result: result.seconds)
                table.add(
                    kind.name,
                    *(f"{1e3 * results[form].seconds:,.1f}" for form in FORMS),
                    ", ".join(f for f in FORMS if results[f].ratio(best) <= TIE),
                )
                part = sums.setdefault(
                    kind.part(arguments.dtype), dict.fromkeys(FORMS, 0.0)
                )
                for form in FORMS:
                    part[form] += results[form].seconds
            for name, part in sums.items():
                cells = (f"{1e3 * part[form]:,.1f}" for form in FORMS)
                table.add(f"all `{name}`", *cells, min(FORMS, key=part.get))
            tables.append(table)
            print(table.to_markdown(), flush=True)
    return tables


def make_parser() -> argparse.ArgumentParser:
    """The options of this benchmark."""
    parser = benchmark_parser(__doc__)
    parser.add_argument(
        "--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS)
    )
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--kinds", nargs="+", choices=[kind.name for kind in KINDS])
    parser.add_argument("--dtype", choices=list(TOLERANCES), default="float32")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--frames", type=int, default=16)
    add_size(parser, 112)
    parser.set_defaults(rounds=3, seconds=0.5)
    return parser


if __name__ == "__main__":
    run(make_parser(), measure)
