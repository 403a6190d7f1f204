"""Does an artefact compute what Keras computes? Numbers, output by output."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.signature import CLASS_OUTPUTS

BATCH_SIZES = (1, 3, 8)
PROVING_CLIPS = 32
"""A comparison on fewer different ones is weak."""

Pairs = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Outputs of Keras and of an artefact, by name."""


_FINER = {
    "int8": "float16",
    "dynamic_range": "float16",
    "bfloat16": "float16",
    "float16": "float32",
}
"""The precision to take where another rounds too coarsely."""

_NOT_FINITE = "the artefact gives values that are not finite"
_KERAS_CONSTANT = "Keras gives a constant, which proves nothing"
_UNLISTED = "the artefact gives it, but it is not listed among its outputs"

_ROUNDING = 1e-5
"""Of the largest value. Equal clips in batches of other sizes differ by up to 1.2e-6,
clips with one other pixel by 7e-5 and more."""
_FAINT = 0.1
"""Of the mean norm: outputs of clips that are smaller have no direction to compare."""


class ParityError(UserError):
    """An artefact does not compute what the network computes.

    Args:
        report: The comparison that failed.
    """

    def __init__(self, report: "ParityReport"):
        self.report = report
        failed = [entry for entry in report.entries if not entry.passed]
        reasons = "; ".join(f"{e.output}: {', '.join(e.problems)}" for e in failed)
        what = "differs from Keras"
        if all(entry.problems == (_KERAS_CONSTANT,) for entry in failed):
            what = "cannot be compared on clips that are so much alike"
        message = f"{report.artefact}: {what} and was not kept ({reasons})."
        remedy = _remedy(report.precision, failed)
        super().__init__(f"{message} {remedy}" if remedy else message)


def _remedy(precision: str, failed: Sequence["OutputParity"]) -> str | None:
    """What to do about outputs that differ; None where rounding is not to blame."""
    compared = all(e.cosine is not None or _NOT_FINITE in e.problems for e in failed)
    if precision not in _FINER or not compared:
        return None
    ways = []
    if all(entry.agrees_too_seldom and len(entry.problems) == 1 for entry in failed):
        ways.append(
            "compare on more videos (--data, --clips; among few, one close call "
            "decides)"
        )
    if precision == "int8":
        ways.append("calibrate with other or more clips (--data, --calibration-clips)")
    ways.append(f"take --precision {_FINER[precision]}")
    text = ", ".join([*ways[:-1], f"or {ways[-1]}"] if ways[1:] else ways)
    return f"{text[0].upper()}{text[1:]}."


@dataclass(frozen=True)
class Tolerance:
    """How far an artefact may be from Keras; `None` for no limit.

    A mean hides one bad clip among many, and a cosine a wrong scale: hence limits for
    the worst clip, and distances, the norm of the difference over that of Keras's
    output.

    Args:
        absolute: On probabilities: largest difference.
        relative: On the other outputs: largest difference over the largest value.
        filters: On motion filters, instead of `relative`. Where a picture is smooth,
            many filters give the same frame, and rounding chooses between them; what
            they make of the picture, `next_frame`, is held to `relative`.
        cosine: On all outputs: least cosine, the mean over clips.
        least_cosine: On all outputs: least cosine of a single clip.
        distance: On all outputs: largest distance, over all clips together.
        largest_distance: On all outputs: largest distance of a single clip.
        top1: On probabilities and logits: least share of clips with the same class
            first.
    """

    absolute: float | None = None
    relative: float | None = None
    filters: float | None = None
    cosine: float | None = None
    least_cosine: float | None = None
    distance: float | None = None
    largest_distance: float | None = None
    top1: float = 1.0


TOLERANCES = {
    "float32": Tolerance(1e-4, relative=1e-3, filters=1e-2, cosine=0.9999, top1=1.0),
    "float16": Tolerance(2e-2, relative=5e-2, filters=5e-2, cosine=0.999, top1=0.99),
    "bfloat16": Tolerance(0.1, relative=0.2, filters=0.2, cosine=0.99, top1=0.97),
    "dynamic_range": Tolerance(
        absolute=0.25,
        cosine=0.98,
        least_cosine=0.9,
        distance=0.15,
        largest_distance=0.4,
        top1=0.97,
    ),
    "int8": Tolerance(
        absolute=0.5,
        cosine=0.98,
        least_cosine=0.7,
        distance=0.25,
        largest_distance=0.7,
        top1=0.97,
    ),
}
"""By precision of the artefact."""


@dataclass(frozen=True)
class OutputParity:
    """One output of one artefact beside that of Keras.

    Args:
        artefact: File name of the artefact.
        output: Name of the output.
        clips: Number of clips compared.
        distinct_clips: How many of them are different.
        max_absolute: Largest difference.
        max_relative: Largest difference over the largest value of Keras.
        cosine: Mean over clips of the cosine between the two outputs.
        least_cosine: The same of the worst clip.
        distance: Norm of the difference over that of Keras's output, all clips
            together.
        largest_distance: The same of the worst clip.
        top1_agreement: Share of clips with the same class first; `None` for outputs
            that are no classes.
        tolerance: What was asked.
        problems: What does not hold; empty if all does.
    """

    artefact: str
    output: str
    clips: int
    distinct_clips: int
    max_absolute: float | None
    max_relative: float | None
    cosine: float | None
    least_cosine: float | None
    distance: float | None
    largest_distance: float | None
    top1_agreement: float | None
    tolerance: Tolerance
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every condition holds."""
        return not self.problems

    @property
    def weak(self) -> bool:
        """Whether it is compared on too few clips to prove much."""
        return self.distinct_clips < PROVING_CLIPS

    @property
    def agrees_too_seldom(self) -> bool:
        """Whether too few clips have the same class first."""
        top1 = self.top1_agreement
        return top1 is not None and top1 < self.tolerance.top1


@dataclass(frozen=True)
class ParityReport:
    """All outputs of one artefact. True if every one of them passed.

    Args:
        artefact: File name of the artefact.
        runtime: What computed it, with its version.
        precision: A key of `TOLERANCES`.
        entries: One for each output.
    """

    artefact: str
    runtime: str
    precision: str
    entries: tuple[OutputParity, ...]

    def __bool__(self) -> bool:
        return bool(self.entries) and all(entry.passed for entry in self.entries)

    @property
    def weak(self) -> bool:
        """Whether every output is compared on too few clips to prove much."""
        return all(entry.weak for entry in self.entries)

    def to_json(self) -> list[dict]:
        """One dictionary for each output."""
        shared = {"runtime": self.runtime, "precision": self.precision}
        return [
            {**asdict(entry), **shared, "weak": entry.weak, "passed": entry.passed}
            for entry in self.entries
        ]

    def raise_if_failed(self) -> None:
        """Raises:
        ParityError: If an output failed or there is none.
        """
        if not self:
            raise ParityError(self)


def compare(
    artefact: str,
    expected: Mapping[str, np.ndarray],
    received: Mapping[str, np.ndarray],
    *,
    precision: str = "float32",
    runtime: str = "",
    tolerance: Tolerance | None = None,
    pairs: Pairs | None = None,
    clip_hashes: Sequence[bytes] | None = None,
) -> ParityReport:
    """Compares the outputs of an artefact with those of Keras.

    Values that are not finite, outputs that do not vary from clip to clip (they prove
    nothing), missing outputs, outputs that nobody asked for, and wrong shapes are
    failures whatever the tolerance.

    Args:
        artefact: Name of the artefact.
        expected: Outputs of Keras by name, `(clips, ...)` each.
        received: Outputs of the artefact.
        precision: Chooses the tolerance from `TOLERANCES`.
        runtime: What computed `received`.
        tolerance: Instead of the one of `precision`.
        pairs: More outputs, expected and received, by name.
        clip_hashes: One for each clip, from which the different ones are counted.
            Default: all are.

    Returns:
        The report; it is false if anything does not hold.

    Raises:
        ValueError: If there is no output to compare.

    Example:

    >>> logits = np.array([[1.0, 2.0], [4.0, 3.0]])
    >>> bool(compare("a.onnx", {"logits": logits}, {"logits": logits + 1e-6}))
    True
    """
    if not expected:
        raise ValueError("There must be at least one output to compare.")
    tolerance = tolerance or TOLERANCES[precision]
    both = {name: (value, received.get(name)) for name, value in expected.items()}
    entries = [
        _compare_output(artefact, name, *values, tolerance, clip_hashes)
        for name, values in {**both, **(pairs or {})}.items()
    ]
    entries += [
        _not_compared(artefact, name, len(value), _UNLISTED, tolerance, clip_hashes)
        for name, value in received.items()
        if name not in expected
    ]
    return ParityReport(artefact, runtime, precision, tuple(entries))


def run_in_batches(
    run: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    clips: np.ndarray,
    batch_sizes: Sequence[int] = BATCH_SIZES,
) -> dict[str, np.ndarray]:
    """Runs an artefact over clips, in batches of changing size.

    Args:
        run: From clips to outputs by name.
        clips: `(n, T, height, width, 3)`.
        batch_sizes: Used in turn, so that each is tried. The last batch is filled up
            to the smallest size with its last clip: the artefact may take no less.

    Returns:
        Outputs by name, n rows each.
    """
    parts, start, turn = [], 0, 0
    while start < len(clips):
        size = batch_sizes[turn % len(batch_sizes)]
        batch = clips[start : start + size]
        given = len(batch)
        missing = min(batch_sizes) - given
        if missing > 0:
            batch = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
        outputs = run(batch)
        parts.append({k: np.asarray(v)[:given] for k, v in outputs.items()})
        start, turn = start + size, turn + 1
    names = parts[0] if parts else {}
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def refuse_constants(expected: Mapping[str, np.ndarray], clips_from: str) -> None:
    """Checks that Keras tells the clips apart, so that artefacts can be compared.

    Args:
        expected: Outputs of Keras by name.
        clips_from: Where the clips come from, for the message.

    Raises:
        UserError: If an output is the same for all clips.
    """
    constant = [name for name, value in expected.items() if _is_constant(value)]
    if constant:
        raise UserError(
            f"{clips_from}: proves nothing: Keras itself gives the same "
            f"{', '.join(constant)} for all of its clips. Name videos that differ more "
            "with --data."
        )


def _not_compared(artefact, name, count, problem, tolerance, hashes):
    counts, measured = (count, _count_distinct(hashes, count)), [None] * 7
    return OutputParity(artefact, name, *counts, *measured, tolerance, (problem,))


def _count_distinct(hashes, count):
    return count if hashes is None else len(set(hashes[:count]))


def _compare_output(artefact, name, expected, received, tolerance, hashes):
    count = len(expected)
    problem = _unfit(expected, received)
    if problem:
        return _not_compared(artefact, name, count, problem, tolerance, hashes)
    expected, received = expected.astype("float64"), received.astype("float64")
    absolute = float(np.max(np.abs(expected - received)))
    relative = absolute / max(float(np.max(np.abs(expected))), 1e-12)
    cosine, least_cosine = _cosines(expected, received)
    distance, largest_distance = _distances(expected, received)
    # Further signatures of a SavedModel are called "signature/output".
    kind = name.rpartition("/")[2]
    top1 = None
    if kind in CLASS_OUTPUTS:
        same = expected.argmax(axis=-1) == received.argmax(axis=-1)
        top1 = float(np.mean(same))
    measure, off, limit = "relative", relative, tolerance.relative
    if kind == "probabilities":
        measure, off, limit = "absolute", absolute, tolerance.absolute
    elif kind == "motion_filters":
        limit = tolerance.filters
    problems = []
    if limit is not None and off > limit:
        problems.append(f"{measure} difference {off:.2g}, allowed {limit:g}")
    for words, value, least in (
        ("cosine", cosine, tolerance.cosine),
        ("cosine of one clip", least_cosine, tolerance.least_cosine),
    ):
        if least is not None and value < least:
            problems.append(f"{words} {value:.5f}, at least {least:g} needed")
    for words, value, most in (
        ("distance", distance, tolerance.distance),
        ("distance of one clip", largest_distance, tolerance.largest_distance),
    ):
        if most is not None and value > most:
            problems.append(f"{words} {value:.2g}, allowed {most:g}")
    if top1 is not None and top1 < tolerance.top1:
        problems.append(
            f"the first class agrees on {round(top1 * count)} of {count} clips, "
            f"{tolerance.top1:.0%} needed"
        )
    return OutputParity(
        artefact,
        name,
        count,
        _count_distinct(hashes, count),
        absolute,
        relative,
        cosine,
        least_cosine,
        distance,
        largest_distance,
        top1,
        tolerance,
        tuple(problems),
    )


def _unfit(expected, received):
    """Why two outputs cannot be compared, if they cannot."""
    if received is None:
        return "missing from the artefact"
    if received.shape != expected.shape:
        return f"has shape {received.shape} instead of {expected.shape}"
    if not expected.size:
        return "no clips were compared"
    if not np.all(np.isfinite(expected)):
        return "Keras gives values that are not finite"
    if not np.all(np.isfinite(received)):
        return _NOT_FINITE
    if _is_constant(expected):
        return _KERAS_CONSTANT
    if _is_constant(received):
        return "the artefact gives a constant, which proves nothing"
    return None


def _is_constant(value):
    """Whether an output is the same for all clips, or of one clip everywhere."""
    if not value.size:
        return False
    spread = np.max(np.ptp(value, axis=0) if len(value) > 1 else np.ptp(value))
    return bool(spread <= _ROUNDING * np.max(np.abs(value)))


def _norms(values):
    """`(clips,)`"""
    return np.linalg.norm(values.reshape(len(values), -1), axis=1)


def _cosines(expected, received):
    """Mean and least cosine over the clips."""
    sizes = _norms(expected)
    # Of a black clip's next frame and the like, rounding decides the direction.
    told = sizes >= _FAINT * np.mean(sizes)
    rows = [values[told].reshape(sum(told), -1) for values in (expected, received)]
    dot = np.sum(rows[0] * rows[1], axis=1)
    cosines = dot / np.maximum(_norms(rows[0]) * _norms(rows[1]), 1e-30)
    return float(np.mean(cosines)), float(np.min(cosines))


def _distances(expected, received):
    """Distance of all clips together and of the worst one."""
    off, sizes = _norms(received - expected), _norms(expected)
    # Logits near zero are no worse for the same error: the mean is the least divisor.
    single = off / np.maximum(sizes, np.mean(sizes))
    return float(np.linalg.norm(off) / np.linalg.norm(sizes)), float(np.max(single))
