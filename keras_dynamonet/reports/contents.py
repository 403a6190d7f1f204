"""What a report can show, as plain arrays and numbers.

Nothing here knows where the numbers come from. Every part but the title is optional: a
part that is absent leaves no gap on the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keras_dynamonet.reports.exhibits import (
    CommandShown,
    Example,
    FilterComparison,
    FrameStrip,
    Loop,
)
from keras_dynamonet.reports.results import Classification, FramePrediction


@dataclass(frozen=True)
class Provenance:
    """How the run was made.

    Args:
        command: The line to type to make it again.
        facts: Names and values, e.g. seed, clips, data fingerprint.
        stage_seconds: Wall-clock seconds of each stage, in order.
        peak_rss_gib: The most memory that was held at once, in GiB.
        versions: Package versions.
        configuration: The whole configuration as text.
    """

    command: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    peak_rss_gib: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    configuration: str = ""


@dataclass(frozen=True, eq=False)
class Report:
    """Everything a page shows. Only the title is required.

    Args:
        title: The page's title.
        subtitle: One line under it, e.g. what was trained on what.
        notice: A warning to print above everything, e.g. that the run was shortened.
        classification: Recognition results.
        frame_prediction: Next-frame results.
        history: Values an epoch by name, as `keras.callbacks.History.history` has
            them; validation values carry the prefix `"val_"`.
        task_intro: What the classes are and why they are hard.
        task: One clip a class.
        strips: Predicted frames beside real ones.
        filters: Motion filters.
        examples: Predictions on single videos.
        command_shown: A command with its output.
        provenance: How the run was made.
        limits: What the results do not show, a sentence each.
    """

    title: str
    subtitle: str = ""
    notice: str = ""
    classification: Classification | None = None
    frame_prediction: FramePrediction | None = None
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    task_intro: str = ""
    task: Sequence[Loop] = ()
    strips: Sequence[FrameStrip] = ()
    filters: Sequence[FilterComparison] = ()
    examples: Sequence[Example] = ()
    command_shown: CommandShown | None = None
    provenance: Provenance | None = None
    limits: Sequence[str] = ()
