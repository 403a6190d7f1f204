"""Composes the demo's report from what the trained model says of held-out videos."""

from collections.abc import Sequence

import numpy as np

from keras_dynamonet.cli.demo_outputs import (
    ClipOutputs,
    PredictedFrame,
    filters_of,
    predict_frame,
)
from keras_dynamonet.cli.demo_settings import DemoSettings
from keras_dynamonet.reports.exhibits import (
    Example,
    FilterComparison,
    FilterRow,
    FrameStrip,
    Loop,
)
from keras_dynamonet.reports.results import Bounds
from keras_dynamonet.reports.selection import (
    surest_mistakes,
    typical_index,
    typical_successes,
)

QUICK_NOTICE = (
    "A shortened run (--quick): it passes through every stage in seconds and learns "
    "next to nothing. Its figures mean nothing."
)

MISTAKES_SHOWN = 4
MOTIONS_COMPARED = ("getup_facedown", "walk")
"""Motions whose filters are shown: one goes up or down, the other sideways."""

TASK_INTRO = (
    "Recorded human motions, each also played backwards. The two videos of a pair hold "
    "the very same pictures in opposite order. A model that looks at the pictures "
    "without their order can do no better than toss a coin within each pair: at most "
    "50 % right. Whatever lies above that comes from seeing motion."
)

LIMITS = (
    "The videos are rendered from motion capture. They look like an early video game; "
    "figures on real footage will differ.",
    "There is one recording of each motion. The held-out videos show other bodies and "
    "clothes from other sides before other backdrops, but the same performance: "
    "nothing here says how well the model copes with another person's way of moving.",
    "One small model, trained for some minutes from one seed. Another seed gives other "
    "figures; the interval above only covers the choice of held-out videos.",
    "For the observed transitions the model has seen the frame that it predicts; only "
    "the last frame is a forecast.",
)

SOLVED_NOTE = (
    "The filters of observed transitions are not learnt but computed from the two "
    "frames, with a slight pull towards changing nothing. So they are as good before "
    "training as after it. The forecast is learnt."
)

MEAN_CAPTION = (
    "Means over all held-out videos of a class. Both classes show the same pictures in "
    "opposite order, so any difference between the rows is one of motion alone. Look "
    "for stretches where the curves lie on opposite sides of zero."
)

CLIP_CAPTION = (
    "The held-out clip with the strongest filters, and the same clip played backwards. "
    "Squares above one another belong to the same two frames, taken in opposite order: "
    "the red and the blue side change places, and the curves mirror one another."
)


def order_blind_ceiling(
    labels: np.ndarray, opposites: Sequence[tuple[int, int]]
) -> float:
    """The best accuracy of a model that gives a clip and its reversal one answer.

    Within a pair it can name the more frequent class at best.

    Example:

    >>> order_blind_ceiling(np.array([0, 0, 1, 1, 2]), [(0, 1)])
    0.6
    """
    counts = np.bincount(labels, minlength=max(max(pair) for pair in opposites) + 1)
    lost = sum(min(counts[a], counts[b]) for a, b in opposites)
    return float(1.0 - lost / counts.sum())


def subtitle(model, settings: DemoSettings) -> str:
    """What was trained on what, and judged on what."""
    trained_on = settings.train_clips * model.num_classes
    return (
        f"A DynamoNet of {model.count_params():,} parameters, trained in "
        f"{settings.epochs} epochs on {trained_on} rendered videos of {settings.size} "
        f"x {settings.size} pixels, and judged on cameras, backdrops and bodies that "
        "it never saw."
    )


def class_loops(outputs: ClipOutputs, names: Sequence[str], fps: float) -> list[Loop]:
    """The first held-out clip of each class; those of a pair show the same pictures."""
    return [
        Loop(name, outputs.clips[members[0]], fps)
        for label, name in enumerate(names)
        if (members := outputs.of_class(label)).size
    ]


def frame_strips(
    model, outputs: ClipOutputs, names: Sequence[str], opposites
) -> list[FrameStrip]:
    """A typical predicted frame of each class.

    Of a class and its reversal, the one shows an observed transition and the other the
    unseen last frame. The clip is the one of median gain, the observed transition the
    one of median gain within it.
    """
    strips = []
    last = outputs.gain.shape[1] - 1
    for seen, unseen in opposites:
        clip = _typical_clip(outputs.gain[:, :last].mean(axis=1), outputs, seen)
        if clip is not None and last:
            gains = outputs.gain[clip, :last]
            transition = typical_index(gains, np.arange(last))
            frame = predict_frame(model, outputs.clips[clip], transition)
            strips.append(_strip(frame, names[seen], transition, unseen=False))
        clip = _typical_clip(outputs.gain[:, last], outputs, unseen)
        if clip is not None:
            frame = predict_frame(model, outputs.clips[clip], last)
            strips.append(_strip(frame, names[unseen], last, unseen=True))
    return strips


def filter_comparisons(
    model, outputs: ClipOutputs, names: Sequence[str], opposites
) -> list[FilterComparison]:
    """Filters of opposite motions: a clip forwards and backwards, and class means."""
    comparisons = []
    for forwards, backwards in opposites:
        if names[forwards] not in MOTIONS_COMPARED:
            continue
        first, second = outputs.of_class(forwards), outputs.of_class(backwards)
        if not (first.size and second.size):
            continue
        # The clip whose filters do most shows most.
        strength = np.abs(outputs.filters[first] - _identity(outputs)).sum((1, 2, 3))
        clip = outputs.clips[first[strength.argmax()]]
        title = names[forwards]
        comparisons += [
            FilterComparison(
                f"One clip of {title}, forwards and backwards",
                [
                    FilterRow("played forwards", filters_of(model, clip)),
                    FilterRow(
                        "played backwards, to be read from right to left",
                        filters_of(model, clip[::-1]),
                        backwards=True,
                    ),
                ],
                CLIP_CAPTION,
            ),
            FilterComparison(
                f"{title} against {names[backwards]}, on average",
                [
                    FilterRow(
                        f"{names[label]}, mean of {members.size} videos",
                        outputs.filters[members].mean(axis=0),
                    )
                    for label, members in ((forwards, first), (backwards, second))
                ],
                MEAN_CAPTION,
            ),
        ]
    return comparisons


def examples(outputs: ClipOutputs, names: Sequence[str], fps: float) -> list[Example]:
    """A typical success of each class, and the surest mistakes."""
    chosen = typical_successes(outputs.probabilities, outputs.labels)
    chosen += surest_mistakes(outputs.probabilities, outputs.labels, MISTAKES_SHOWN)
    return [
        Example(
            Loop(names[outputs.labels[index]], outputs.clips[index], fps),
            names,
            outputs.probabilities[index],
            int(outputs.labels[index]),
        )
        for index in chosen
    ]


def _strip(
    frame: PredictedFrame, name: str, transition: int, *, unseen: bool
) -> FrameStrip:
    # Frames are counted from 1, and the transition leads to the next one.
    title = f"{name}, frame {transition + 2}"
    bounds = Bounds(frame.floor, frame.model, frame.ceiling)
    return FrameStrip(
        title, frame.previous, frame.real, frame.predicted, bounds, unseen=unseen
    )


def _typical_clip(scores: np.ndarray, outputs: ClipOutputs, label: int) -> int | None:
    members = outputs.of_class(label)
    return typical_index(scores, members) if members.size else None


def _identity(outputs: ClipOutputs) -> np.ndarray:
    size = outputs.filters.shape[-1]
    identity = np.zeros((size, size))
    identity[size // 2, size // 2] = 1.0
    return identity
