"""The results as tables and figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy.catalogue import CATALOGUE
from benchmarks.accuracy.experiments import Experiment
from benchmarks.accuracy.intervals import mean_of, paired_difference
from benchmarks.accuracy.results import Results
from keras_dynamonet.files import atomic_path

MISSING = "-"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        heading: Its heading.
        metric: Name of the number.
        scale: What it is multiplied by, e.g. 100 for per cent.
        digits: After the point.
        reference: Experiment that paired differences are taken from, or `None` for the
            number itself.
        floor: Name of the number of the same run that is taken off, or `None`.
    """

    heading: str
    metric: str
    scale: float = 1.0
    digits: int = 1
    reference: str | None = None
    floor: str | None = None

    def text(self, results: Results, experiment: Experiment) -> str:
        """The cell of an experiment."""
        values = results.of(experiment, self.metric)
        if not values:
            return MISSING
        if self.floor is not None:
            floors = results.of(experiment, self.floor)
            values = {seed: value - floors[seed] for seed, value in values.items()}
        if self.reference is None:
            return mean_of(list(values.values())).text(self.scale, self.digits)
        reference = results.of(CATALOGUE[self.reference], self.metric)
        difference = paired_difference(values, reference)
        if difference is None or experiment.name == self.reference:
            return MISSING
        return difference.text(self.scale, self.digits, sign=True)


def _between(part: str) -> list[Column]:
    """Floor, model and ceilings of one part of the frames."""
    return [
        Column(f"{part}: {heading}", f"psnr_{part}_{name}", digits=2)
        for heading, name in (
            ("copy", "floor"),
            ("**model**", "model"),
            ("best filter", "ceiling"),
        )
    ]


def _gains(part: str) -> list[Column]:
    """What model and ceiling gain over the floor of their own rim.

    Filters of another size are compared on other pixels, so that their PSNR is not.
    """
    return [
        Column(f"{part}: {heading} over copy, dB", metric, digits=2, floor=floor)
        for heading, metric, floor in (
            ("**model**", f"psnr_{part}_model", f"psnr_{part}_floor"),
            ("best filter", f"psnr_{part}_ceiling", f"psnr_{part}_floor"),
        )
    ]


ACCURACY = Column("accuracy, %", "accuracy", scale=100)
SHUFFLED = Column("frames shuffled at the test, %", "accuracy_shuffled_test", 100)
COST = Column("CPU s", "cpu_seconds", digits=0)


def _against(reference: str, heading: str) -> Column:
    return Column(f"less {heading}", "accuracy", scale=100, reference=reference)


def _of_frames(place: str) -> list[Column]:
    """Columns of frame prediction; the gain is that of the mean over clips."""
    by_clip = "clip_psnr_unseen_model"
    return [
        *_between("observed"),
        *_between("unseen"),
        Column("unseen: best filters", "psnr_unseen_segments", digits=2),
        Column("unseen: SSIM of model", "ssim_unseen_model", digits=3),
        Column("unseen, mean over clips: copy", "clip_psnr_unseen_floor", digits=2),
        Column("unseen, mean over clips: **model**", by_clip, digits=2),
        Column("less one filter", by_clip, digits=2, reference=f"{place}-one"),
    ]


_OUTPUTS = (("filters", "dmr"), ("feature", "feature"), ("both", "both"))
# group: (heading, columns)
TABLES: dict[str, tuple[str, list[Column]]] = {
    "filters": (
        "Solved filters alone (four pairs of `time`, order-blind ceiling 50 %)",
        [
            ACCURACY,
            _against("filters", "first row"),
            SHUFFLED,
        ],
    ),
    "sources": (
        "Where the filters come from (four pairs of `time`, order-blind ceiling 50 %)",
        [
            ACCURACY,
            _against("backbone", "backbone"),
            _against("backbone-longer", "backbone, 20 epochs"),
            _against("backbone-longest", "backbone, 30 epochs"),
            COST,
            SHUFFLED,
            *_between("observed"),
        ],
    ),
    "options": (
        "Options of the same network",
        [
            ACCURACY,
            _against("solved", "solved"),
            _against("taught", "taught"),
            _against("untaught", "untaught"),
            *_gains("observed"),
            *_gains("unseen"),
        ],
    ),
    **{
        place: (f"Frame prediction, {footage}, PSNR in dB", _of_frames(place))
        for place, footage in (
            ("people", "rendered people before a still background"),
            ("street", "real footage of a street"),
        )
    },
    "track": (
        "All ten pairs of `time` (order-blind ceiling 50 %)",
        [
            ACCURACY,
            _against("backbone-all", "backbone"),
            _against("backbone-longer-all", "backbone, 20 epochs"),
            COST,
            SHUFFLED,
            *_between("observed"),
        ],
    ),
    "labels": ("Few labels (`native` track)", [ACCURACY, *_between("observed")]),
    "controls": (
        "What is left without the order of frames (four pairs)",
        [ACCURACY, SHUFFLED, *_between("observed")],
    ),
    "stc": (
        "With STC blocks",
        [
            ACCURACY,
            _against("backbone-stc", "backbone, STC"),
            SHUFFLED,
            *_between("observed"),
        ],
    ),
    "cameras": ("Other cameras", [ACCURACY, SHUFFLED, *_between("observed")]),
}

KNOWLEDGE = [
    Column(f"probe, {name}", f"probe_{end}", scale=100) for name, end in _OUTPUTS
]
RETRIEVAL = [
    Column(f"{name}, at {neighbours}", f"recall_{neighbours}_{end}", scale=100)
    for name, end in _OUTPUTS
    for neighbours in (1, 5, 10)
]


def render(results: Results) -> str:
    """All tables that have a result, as Markdown."""
    parts = [
        "Means over seeds ± half of the 95 % interval (Student's t); differences are "
        "paired by seed. Written by `python -m benchmarks.accuracy table`.",
    ]
    for group, (heading, columns) in TABLES.items():
        members = [e for e in CATALOGUE.values() if e.group == group]
        parts.append(_table(heading, columns, members, results))
    probed = [e for e in CATALOGUE.values() if e.probes]
    parts += [
        _table("A linear probe of filters and feature, %", KNOWLEDGE, probed, results),
        _table(
            "Retrieval by nearest neighbours, recall, %", RETRIEVAL, probed, results
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(
    heading: str,
    columns: Sequence[Column],
    experiments: Sequence[Experiment],
    results: Results,
) -> str:
    """One table, of the experiments that have a result; empty without any."""
    rows = []
    for experiment in experiments:
        seeds = results.of(experiment, "cpu_seconds")
        if seeds:
            cells = [column.text(results, experiment) for column in columns]
            rows.append([experiment.title, str(len(seeds)), *cells])
    if not rows:
        return ""
    # A column that no row has anything for says nothing.
    kept = [i for i in range(len(rows[0])) if any(row[i] != MISSING for row in rows)]
    if len(kept) == 2:  # no number but that of the seeds
        return ""
    headings = ["", "seeds", *(column.heading for column in columns)]
    lines = [[headings[i] for i in kept], ["---"] * len(kept)]
    lines += [[row[i] for i in kept] for row in rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"### {heading}\n\n{text}"


def write_table(results: Results, folder: Path) -> Path:
    """Writes `TABLE.md`.

    Returns:
        Its path.
    """
    path = folder / "TABLE.md"
    with atomic_path(path) as temporary:
        temporary.write_text(render(results), encoding="utf-8")
    return path
