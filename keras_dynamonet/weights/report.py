"""What became of each tensor of a checkpoint."""

import collections
from collections.abc import Mapping
from dataclasses import asdict, dataclass

STATUSES = ("matched", "reshaped", "unused", "missing")


@dataclass(frozen=True)
class TensorEntry:
    """One tensor.

    Args:
        name: In PyTorch.
        status: `"matched"` (taken as it is), `"reshaped"` (with its axes in another
            order), `"unused"` (in the file only) or `"missing"` (in the network only).
        shape: In PyTorch.
        note: The variable it went to, or why it did not.
    """

    name: str
    status: str
    shape: tuple[int, ...]
    note: str


@dataclass(frozen=True)
class TensorReport:
    """Every tensor of the file and of the network.

    Args:
        entries: In the order of the network, unused tensors last.
    """

    entries: tuple[TensorEntry, ...]

    def counts(self) -> dict[str, int]:
        """Number of tensors of each status."""
        found = collections.Counter(entry.status for entry in self.entries)
        return {status: found[status] for status in STATUSES}

    def with_status(self, status: str) -> list[TensorEntry]:
        """The tensors of one status."""
        return [entry for entry in self.entries if entry.status == status]

    def to_dict(self) -> dict:
        """Everything, ready for JSON."""
        return {
            "counts": self.counts(),
            "tensors": [asdict(entry) for entry in self.entries],
        }


def explain(
    stored: Mapping[str, tuple[int, ...]],
    expected: Mapping[str, tuple[int, ...]],
    fresh: frozenset[str] = frozenset(),
) -> tuple[TensorReport, list[str]]:
    """Compares the tensors of a file with those of a network.

    Args:
        stored: Names and shapes in the file.
        expected: Names and shapes of the network.
        fresh: Names that the network shall not take from the file.

    Returns:
        The report, and one sentence for each tensor that has no explanation.

    Example:

    >>> network = {"fc.bias": (4,), "bn1.bias": (8,)}
    >>> report, problems = explain({"fc.bias": (4,)}, network)
    >>> report.counts()["matched"], problems
    (1, ['bn1.bias is missing'])
    """
    entries, problems = [], []
    for name, shape in expected.items():
        if name in fresh:
            entries.append(TensorEntry(name, "missing", shape, "fresh, as asked for"))
        elif name not in stored:
            entries.append(TensorEntry(name, "missing", shape, "unexplained"))
            problems.append(f"{name} is missing")
        elif stored[name] != shape:
            entries.append(TensorEntry(name, "missing", shape, "of another shape"))
            problems.append(f"{name} has shape {stored[name]} instead of {shape}")
        else:
            reordered = sum(size > 1 for size in shape) > 1
            status = "reshaped" if reordered else "matched"
            entries.append(TensorEntry(name, status, shape, "taken"))
    for name, shape in stored.items():
        if name in expected and name not in fresh:
            continue
        note = "unexplained"
        if name in fresh or name.startswith("fc.") and "fc.weight" in fresh:
            note = "of the head that is replaced"
        elif name.endswith(".num_batches_tracked"):
            note = "a counter that Keras does not need"
        else:
            problems.append(f"{name} belongs to no layer")
        entries.append(TensorEntry(name, "unused", shape, note))
    return TensorReport(tuple(entries)), problems
