"""Contestants timed in turn: A B C, A B C, ..., and what may be said of the times."""

import contextlib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.contestant import Contestant


@dataclass(frozen=True)
class Result:
    """The times of one contestant.

    Args:
        name: Of the contestant.
        runtime: What computed, with its version.
        units: Clips in a step.
        rounds: Median seconds of a step, for each round.
        peak_memory_mib: Of its process.
    """

    name: str
    runtime: str
    units: int
    rounds: tuple[float, ...]
    peak_memory_mib: float

    @property
    def seconds(self) -> float:
        """Median of a step."""
        return statistics.median(self.rounds)

    @property
    def units_per_second(self) -> float:
        """Clips a second."""
        return self.units / self.seconds

    def ratio(self, other: "Result") -> float:
        """Its time for a clip over that of another: the median over the rounds.

        Within a round both met the machine in the same mood.
        """
        return statistics.median(self.ratios(other))

    def ratios(self, other: "Result") -> list[float]:
        """The ratio of each round."""
        scale = other.units / self.units
        return [
            scale * own / others
            for own, others in zip(self.rounds, other.rounds, strict=True)
        ]


def race(
    contestants: Sequence[Contestant],
    *,
    rounds: int = 5,
    seconds: float = 1.0,
    tolerances: Mapping[str, float] | None = None,
    least_cosines: Mapping[str, float] | None = None,
    reference: str | None = None,
) -> dict[str, Result]:
    """Times contestants in turn; their outputs are compared first.

    Args:
        contestants: What to time, not yet started.
        rounds: How often each has its turn.
        seconds: How long a turn lasts at least (one step is the least).
        tolerances: Largest relative difference of outputs from those of the reference,
            by name of contestant; the key `""` is for all others.
        least_cosines: Least cosine between its outputs and those of the reference, the
            mean over clips, of contestants that compute too coarsely for differences.
        reference: Whose outputs the others must equal. Default: the first.

    Returns:
        Results by name.

    Raises:
        RuntimeError: If a contestant fails or computes something else.
    """
    with contextlib.ExitStack() as stack:
        for contestant in contestants:
            stack.enter_context(contestant)
        compare_outputs(
            {contestant.name: contestant.outputs() for contestant in contestants},
            reference or contestants[0].name,
            tolerances or {},
            least_cosines or {},
        )
        steps = {}
        for contestant in contestants:
            warm = contestant.run(2)[-1]
            steps[contestant.name] = max(1, round(seconds / max(warm, 1e-6)))
        times = {contestant.name: [] for contestant in contestants}
        for _ in range(rounds):
            for contestant in contestants:
                turn = contestant.run(steps[contestant.name])
                times[contestant.name].append(statistics.median(turn))
        return {
            contestant.name: Result(
                contestant.name,
                contestant.runtime,
                contestant.units,
                tuple(times[contestant.name]),
                contestant.peak_memory_mib(),
            )
            for contestant in contestants
        }


def compare_outputs(
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    reference: str,
    tolerances: Mapping[str, float],
    least_cosines: Mapping[str, float],
) -> None:
    """Checks that all have computed the same, see :func:`race`.

    Args:
        outputs: Arrays by name, by name of contestant; none must have all of them.
        reference: The contestant whose arrays are right.
        tolerances: By name of contestant.
        least_cosines: By name of contestant.

    Raises:
        RuntimeError: If one has not.

    Example:

    >>> values = {"logits": np.array([[1.0, 2.0]])}
    >>> compare_outputs({"ours": values, "peer": values}, "peer", {}, {"ours": 0.98})
    """
    for name, arrays in outputs.items():
        limit = tolerances.get(name, tolerances.get("", 1e-3))
        for key, received in arrays.items():
            values = outputs[reference][key]
            if received.shape != values.shape:
                raise RuntimeError(
                    f"{name}: {key} has shape {received.shape}, that of {reference} "
                    f"{values.shape}."
                )
            if name in least_cosines:
                cosine, least = _mean_cosine(values, received), least_cosines[name]
                if not cosine >= least:
                    raise RuntimeError(
                        f"{name}: {key} has a cosine of {cosine:.4f} to that of "
                        f"{reference}, {least:g} is needed."
                    )
                continue
            largest = max(float(np.max(np.abs(values))), 1e-12)
            off = float(np.max(np.abs(received - values))) / largest
            if not off <= limit:
                raise RuntimeError(
                    f"{name}: {key} differs from that of {reference} by {off:.2g}, "
                    f"allowed is {limit:g}."
                )


def _mean_cosine(values, received):
    dot = np.sum(values * received, axis=-1)
    norms = np.linalg.norm(values, axis=-1) * np.linalg.norm(received, axis=-1)
    return float(np.mean(dot / np.maximum(norms, 1e-30)))
