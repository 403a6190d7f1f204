"""The experiments: what is trained, on what, and which numbers are taken."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_dynamonet.data.mocap.classes import DEMO_CLASSES, TRACKS

REVISION = 1
"""Raised whenever equal configurations would mean other experiments.

Another processor or a more exact solver moves numbers, too; runs with one go to a
results file of their own, to be compared with the others.
"""

SEEDS = (0, 1, 2)

CLASSES = {
    "time": DEMO_CLASSES,
    "whole time": TRACKS["time"],
    "native": TRACKS["native"],
}
"""Classes of each track: of `time` the four pairs that the demo uses, or all ten."""


@dataclass(frozen=True, kw_only=True)
class ClipSet:
    """Rendered clips, kept as arrays.

    Args:
        track: A key of `CLASSES`.
        camera: How the camera moves.
        train: Training clips a class.
        test: Held-out clips a class.
        size: Height and width in pixels.
        frames: Frames a clip; 4 more than a network takes, so that its start can vary.
        fps: Frames a second.
        seed: Seed of the rendering; the same for all runs.
    """

    track: str = "time"
    camera: str = "still"
    train: int = 80
    test: int = 50
    size: int = 48
    frames: int = 21
    fps: float = 12.0
    seed: int = 0

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels."""
        return CLASSES[self.track]

    @property
    def key(self) -> str:
        """What the arrays are filed under."""
        track = self.track.replace(" ", "-")
        return f"{track}-{self.camera}-{fingerprint(self)}"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One row of the table.

    Args:
        name: Its name on the command line and in the results.
        group: The part of the table that it belongs to.
        title: What the row says.
        clips: What it is trained and judged on.
        network: Arguments of the network, or `None` for the backbone alone.
        backbone: Further arguments of the backbone.
        losses: Arguments of `compile`.
        epochs: Passes over the training clips; with fewer labels, as many steps.
        label_share: Share of the training clips of each class that have a label.
        unlabelled: Whether the others take part in the frame loss.
        pretrain_epochs: Passes over all training clips with the frame loss alone, by
            a network with generated, taught filters, before that.
        order: `"natural"`; `"shuffled"` for a new order of the frames each time; or
            `"single"` for one frame repeated; in training and in the test.
        probes: Whether to ask what filters and features know.
    """

    name: str
    group: str
    title: str
    clips: ClipSet = ClipSet()
    network: Mapping[str, Any] | None = field(default_factory=dict)
    backbone: Mapping[str, Any] = field(default_factory=dict)
    losses: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 6
    label_share: float = 1.0
    unlabelled: bool = False
    pretrain_epochs: int = 0
    order: str = "natural"
    probes: bool = False

    @property
    def key(self) -> str:
        """Hash of all that decides the numbers; not of name, group and title."""
        return fingerprint(self, leave_out=("name", "group", "title"))


def pretraining_key(experiment: Experiment) -> str:
    """Hash of all that decides the outcome of its pre-training.

    Example:

    >>> few = Experiment(name="", group="", title="", label_share=0.1)
    >>> all = Experiment(name="", group="", title="")
    >>> pretraining_key(few) == pretraining_key(all)
    True
    """
    labels = ("epochs", "label_share", "unlabelled", "probes")
    return fingerprint(experiment, leave_out=("name", "group", "title", *labels))


def fingerprint(settings: Any, leave_out: tuple[str, ...] = ()) -> str:
    """Ten hexadecimal digits that stand for a dataclass.

    Example:

    >>> fingerprint(ClipSet()) == fingerprint(ClipSet(seed=0))
    True
    >>> fingerprint(ClipSet()) == fingerprint(ClipSet(seed=1))
    False
    """
    values = dataclasses.asdict(settings)
    for name in leave_out:
        del values[name]
    text = json.dumps([REVISION, values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]
