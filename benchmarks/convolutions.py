"""The forms of the 3D convolution beside one another, forward and in training.

    python -m benchmarks.convolutions
    python -m benchmarks.convolutions --kernels tensorflow jax torch --size 64
    python -m benchmarks.convolutions --kernels tensorflow --dtype float16
    python -m benchmarks.convolutions --write

What `form="auto"` of `GroupedConv3D` takes on a CPU comes from here: for each backend,
TensorFlow with oneDNN and without (`tensorflow_eigen`), and each task the form with the
least time of every convolution. `--write` puts those that were measured into
`keras_dynamonet/layers/convolution_forms.json` where what stands there is slower by
more than 5 %.
"""

import argparse
import copy
import json
import math
from typing import NamedTuple

from benchmarks.contestant import Contestant
from benchmarks.options import add_size, benchmark_parser, race_options, run
from benchmarks.race import race
from benchmarks.tables import Table
from keras_dynamonet.files import atomic_path
from keras_dynamonet.layers.convolution_forms import CPU_FORMS, FORMS_FILE, kind_of

_WORK = "benchmarks.convolutions_work:convolution"
FORMS = ("native", "planar", "merged", "stacked")
TASKS = ("forward", "training")
# Whose kernels compute: environment of the contestants.
KERNELS = {
    "tensorflow": {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "1"},
    "tensorflow_eigen": {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "0"},
    "jax": {"KERAS_BACKEND": "jax"},
    "torch": {"KERAS_BACKEND": "torch"},
}
TIE = 1.05
"""Times of a round that are no further apart count as equal."""
# Sums over all pixels of a batch, in another order.
TOLERANCES = {"float32": 1e-3, "bfloat16": 5e-2, "float16": 1e-2}


class Case(NamedTuple):
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

    @property
    def kind(self) -> str:
        """The kind that it stands for."""
        return kind_of(self.kernel_size, self.channels, self.groups)


CASES = (
    Case("stem, 7x7x7, stride 1x2x2", (1, 1, 1), 3, 64, (7, 7, 7), (1, 2, 2)),
    Case("coarse stem, 3x7x7, stride 2x4x4", (1, 1, 1), 3, 16, (3, 7, 7), (2, 4, 4)),
    Case("stage 1, 1x1x1", (2, 4, 4), 256, 128, (1, 1, 1)),
    Case("stage 4, 1x1x1", (16, 32, 32), 1024, 2048, (1, 1, 1)),
    Case("stage 1, 3x3x3", (2, 4, 4), 64, 64),
    Case("stage 3, 3x3x3", (8, 16, 16), 256, 256),
    Case("nano, 3x3x3, 4 groups", (2, 4, 4), 16, 16, groups=4),
    Case("nano, stage 4, 3x3x3, 4 groups", (8, 32, 32), 128, 128, groups=4),
    Case("stage 1, 3x3x3, 32 groups", (2, 4, 4), 128, 128, groups=32),
    Case(
        *("stage 2, 3x3x3, 32 groups, stride 2", (2, 4, 4), 256, 256),
        strides=(2, 2, 2),
        groups=32,
    ),
    Case("stage 3, 3x3x3, 32 groups", (8, 16, 16), 512, 512, groups=32),
    Case("stage 4, 3x3x3, 32 groups", (16, 32, 32), 1024, 1024, groups=32),
)


def entered_forms(case: Case, kernels: str) -> list[str]:
    """The forms that a convolution may take."""
    missing = set()
    if case.groups == 1:
        missing.add("merged")  # is `planar`
    elif kernels == "tensorflow_eigen":
        # Have no gradients, which may be asked for outside of training, too.
        missing.update(("planar", "stacked"))
    return [form for form in FORMS if form not in missing]


def contestants(arguments: argparse.Namespace, case: Case, kernels: str, task: str):
    """One for each form."""
    shape = (arguments.frames, arguments.size, arguments.size)
    sizes = [-(-side // by) for side, by in zip(shape, case.shrunk, strict=True)]
    settings = {
        "batch": arguments.batch,
        "shape": [*sizes, case.channels],
        "layer": {
            "filters": case.filters,
            "kernel_size": case.kernel_size,
            "strides": case.strides,
            "groups": case.groups,
            "dtype": arguments.dtype,
        },
        "gradients": case.gradients if task == "training" else 0,
    }
    return [
        Contestant(
            form,
            _WORK,
            {**settings, "form": form},
            arguments.threads,
            environment=KERNELS[kernels],
        )
        for form in entered_forms(case, kernels)
    ]


def measure(arguments: argparse.Namespace) -> list[Table]:
    """A table for each set of kernels and task."""
    if arguments.write and arguments.dtype != "float32":
        raise SystemExit("--write: the library's choices are those of float32.")
    cases = [c for c in CASES if not arguments.cases or c.name in arguments.cases]
    chosen = copy.deepcopy(CPU_FORMS)
    tables = []
    for kernels in arguments.kernels:
        for task in arguments.tasks:
            table = Table(
                f"Forms of the convolution, {kernels}, {task}, batch "
                f"{arguments.batch}, {arguments.frames}x{arguments.size}x"
                f"{arguments.size}, {arguments.dtype}, ms",
                ("convolution", *FORMS, f"within {TIE - 1:.0%} of the fastest"),
            )
            forms = chosen.setdefault(kernels, {}).setdefault(task, {})
            for case in cases:
                seconds = _race(arguments, case, kernels, task, table)
                fastest = min(seconds, key=seconds.get)
                by_width = forms.setdefault(case.kind, {})
                held = seconds.get(by_width.get(str(case.filters)), math.inf)
                if held > TIE * seconds[fastest]:
                    by_width[str(case.filters)] = fastest
            tables.append(table)
            print(table.to_markdown(), flush=True)
    if arguments.write:
        with atomic_path(FORMS_FILE) as temporary:
            temporary.write_text(json.dumps(chosen, indent=2) + "\n", encoding="utf-8")
    return tables


def _race(arguments, case, kernels, task, table):
    """Adds the row of a case; its seconds by form."""
    results = race(
        contestants(arguments, case, kernels, task),
        tolerances={"": TOLERANCES[arguments.dtype]},
        **race_options(arguments),
    )
    best = min(results.values(), key=lambda result: result.seconds)
    seconds = {form: result.seconds for form, result in results.items()}
    near = (form for form, result in results.items() if result.ratio(best) <= TIE)
    cells = (f"{1e3 * seconds[f]:,.1f}" if f in seconds else "" for f in FORMS)
    table.add(case.name, *cells, ", ".join(near))
    return seconds


def make_parser() -> argparse.ArgumentParser:
    """The options of this benchmark."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--kernels", nargs="+", choices=KERNELS, default=list(KERNELS))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--cases", nargs="+", choices=[case.name for case in CASES])
    parser.add_argument("--dtype", choices=list(TOLERANCES), default="float32")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--frames", type=int, default=16)
    add_size(parser, 112)
    parser.add_argument(
        "--write", action="store_true", help="let the library take what is fastest"
    )
    parser.set_defaults(rounds=3, seconds=0.5)
    return parser


if __name__ == "__main__":
    run(make_parser(), measure)
