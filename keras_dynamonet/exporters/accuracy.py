"""How many videos an artefact names rightly, beside Keras on the same videos."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_dynamonet.data.bad_files import BadFileLog
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.pipeline import evaluation_dataset
from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.artefact import Runner
from keras_dynamonet.exporters.comparison import (
    artefact_names,
    batch_sizes,
    open_artefact,
    sidecar_of,
)
from keras_dynamonet.exporters.folding import in_float32
from keras_dynamonet.exporters.parity import TOLERANCES, Tolerance, run_in_batches
from keras_dynamonet.exporters.signature import make_reference

if TYPE_CHECKING:
    from keras_dynamonet.training.scores import Accuracy
    from keras_dynamonet.training.trained_model import TrainedModel

MOST_LOST_POINTS = 1.0
"""Of 100: how much accuracy an artefact may lose."""

_BATCH = 8


@dataclass(frozen=True)
class AccuracyComparison:
    """An artefact beside Keras on the same labelled videos, the middle clip of each.

    Args:
        artefact: Name of the artefact in reports.
        runtime: What computed it, with its version.
        precision: A key of `keras_dynamonet.exporters.parity.TOLERANCES`.
        keras: Accuracy of Keras.
        exported: Accuracy of the artefact.
        top1_agreement: Share of videos that both give the same class.
        max_absolute: Largest difference of a probability.
    """

    artefact: str
    runtime: str
    precision: str
    keras: "Accuracy"
    exported: "Accuracy"
    top1_agreement: float
    max_absolute: float

    @property
    def lost_points(self) -> float:
        """Accuracy lost, of 100; negative if the artefact is right more often."""
        return 100 * (self.keras.correct - self.exported.correct) / self.keras.total

    @property
    def tolerance(self) -> Tolerance:
        """What is asked of the agreement and the probabilities."""
        return TOLERANCES[self.precision]

    @property
    def problems(self) -> tuple[str, ...]:
        """What does not hold; empty if all does."""
        allowed, found = self.tolerance, []
        if not np.isfinite(self.max_absolute):
            found.append("the artefact gives values that are not finite")
        if self.lost_points > MOST_LOST_POINTS:
            found.append(
                f"{self.lost_points:.2f} points of accuracy lost, at most "
                f"{MOST_LOST_POINTS:g} allowed"
            )
        if self.top1_agreement < allowed.top1:
            videos = self.keras.total
            found.append(
                "the first class agrees on "
                f"{round(self.top1_agreement * videos)} of {videos} videos, "
                f"{allowed.top1:.0%} needed"
            )
        if allowed.absolute is not None and self.max_absolute > allowed.absolute:
            found.append(
                f"probabilities differ by {self.max_absolute:.2g}, allowed "
                f"{allowed.absolute:g}"
            )
        return tuple(found)

    def __bool__(self) -> bool:
        return not self.problems

    def to_json(self) -> dict:
        """All figures and the verdict."""
        return {
            "artefact": self.artefact,
            "runtime": self.runtime,
            "precision": self.precision,
            "videos": self.keras.total,
            "keras": self.keras.to_json(),
            "exported": self.exported.to_json(),
            "lost_points": self.lost_points,
            "most_lost_points": MOST_LOST_POINTS,
            "top1_agreement": self.top1_agreement,
            "max_absolute": self.max_absolute,
            "tolerance": asdict(self.tolerance),
            "problems": self.problems,
            "passed": bool(self),
        }


def compare_accuracy(
    trained: "TrainedModel",
    artefacts: Sequence[str | os.PathLike],
    manifest: Manifest,
    *,
    names: Sequence[str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    on_error: Callable[[Path, Exception], None] | None = None,
) -> Iterator[AccuracyComparison]:
    """Classifies every labelled video with Keras and with artefacts.

    The videos are read anew for each artefact, so that any number of them can be
    judged.

    Args:
        trained: The network that the artefacts come from.
        artefacts: The artefacts, each with its sidecar.
        manifest: The videos, labelled with the classes of the network.
        names: What the comparisons call the artefacts (default: as an export does).
        progress: Called with what computes, and videos done and in all.
        on_error: Called with an artefact that cannot be judged and the reason; the
            others are. Default: the error is raised.

    Yields:
        One comparison for each artefact.

    Raises:
        UserError: If an artefact cannot be loaded or gives no classes, or no labelled
            video can be read.
    """
    from keras_dynamonet.training.scores import top_k_accuracy

    manifest = manifest.subset(np.flatnonzero(manifest.labels >= 0))
    if not len(manifest):
        raise UserError(f"{manifest.root}: no video has a label.")
    progress = progress or (lambda name, done, total: None)
    reference = make_reference(in_float32(trained.model), ("probabilities",))
    expected, labels = _classify(reference, manifest, trained.spec, "Keras", progress)

    def judge(path, name):
        sidecar = sidecar_of(path)
        if not {"probabilities", "logits"} & set(sidecar["outputs"]):
            raise UserError(f"{path}: gives neither probabilities nor logits.")
        size = batch_sizes(sidecar)[-1]
        with open_artefact(path, sidecar["format"]) as (run, runtime):
            received, _ = _classify(
                lambda clips: run_in_batches(run, clips, (size,)),
                manifest,
                trained.spec,
                name,
                progress,
            )
        same = expected.argmax(axis=1) == received.argmax(axis=1)
        return AccuracyComparison(
            name,
            runtime,
            sidecar["precision"],
            top_k_accuracy(expected, labels, 1),
            top_k_accuracy(received, labels, 1),
            float(np.mean(same)),
            float(np.max(np.abs(expected - received))),
        )

    names = artefact_names(artefacts) if names is None else names
    for path, name in zip(map(Path, artefacts), names, strict=True):
        try:
            found = judge(path, name)
        except Exception as error:  # of one of many libraries
            if on_error is None:
                raise
            on_error(path, error)
        else:
            yield found


def _classify(run: Runner, manifest, spec, name, progress):
    """Probabilities `(videos, classes)` and labels of the videos that can be read."""
    from keras_dynamonet.training.data_errors import original_errors
    from keras_dynamonet.training.probabilities import softmax

    bad_files, found, labels = BadFileLog(), [], []
    dataset = evaluation_dataset(
        manifest, spec, batch_size=_BATCH, bad_file_log=bad_files
    )
    with original_errors(bad_files):
        for clips, batch_labels, _ in dataset:
            outputs = run(clips.numpy()[:, : spec.num_frames])
            probabilities = outputs.get("probabilities")
            if probabilities is None:
                probabilities = softmax(outputs["logits"])
            found.append(np.asarray(probabilities))
            labels.append(batch_labels.numpy())
            progress(name, sum(map(len, labels)), len(manifest))
    if not found:
        raise UserError(f"{manifest.root}: none of the videos could be read.")
    return np.concatenate(found), np.concatenate(labels)
