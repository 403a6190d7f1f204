"""The classes, the tracks, and what part of a recording a clip shows."""

import dataclasses

from keras_dynamonet.errors import UserError

REVERSED_SUFFIX = "_reversed"


@dataclasses.dataclass(frozen=True)
class Action:
    """What a clip of a motion must show.

    Args:
        span_seconds: Start and end of the action within the recording; `None` if any
            stretch will do, as for walking.
        reversible: Whether played backwards it is a class of its own.
        speeds: Slowest and fastest playback relative to the recording.
    """

    span_seconds: tuple[float, float] | None = None
    reversible: bool = False
    speeds: tuple[float, float] = (0.85, 1.15)


ACTIONS = {
    "walk": Action(reversible=True),
    "run": Action(reversible=True, speeds=(0.7, 0.95)),
    "crawl": Action(reversible=True),
    "jump": Action(span_seconds=(0.5, 1.35)),
    "backflip": Action(span_seconds=(0.4, 1.35), reversible=True),
    "cartwheel": Action(span_seconds=(0.7, 2.1), reversible=True),
    "roll": Action(span_seconds=(0.3, 1.6), reversible=True),
    "spin": Action(span_seconds=(1.2, 2.9), reversible=True),
    "spinkick": Action(span_seconds=(0.35, 1.1)),
    "kick": Action(span_seconds=(0.35, 1.1)),
    "punch": Action(span_seconds=(0.5, 1.3)),
    "dance_a": Action(reversible=True),
    "dance_b": Action(),
    "getup_facedown": Action(span_seconds=(0.8, 2.8), reversible=True),
    "getup_faceup": Action(span_seconds=(1.2, 3.6), reversible=True),
}

_REVERSIBLE = tuple(name for name, action in ACTIONS.items() if action.reversible)
_PAIRS = tuple(
    name for motion in _REVERSIBLE for name in (motion, motion + REVERSED_SUFFIX)
)

TRACKS = {
    "native": tuple(ACTIONS),
    "time": _PAIRS,
    "all": (*ACTIONS, *(name + REVERSED_SUFFIX for name in _REVERSIBLE)),
}

# Four pairs that can be told apart on a processor in minutes.
DEMO_CLASSES = tuple(
    name
    for motion in ("walk", "run", "getup_facedown", "backflip")
    for name in (motion, motion + REVERSED_SUFFIX)
)


def motion_of(class_name: str) -> tuple[str, bool]:
    """The motion a class is rendered from, and whether it is played backwards.

    Example:

    >>> motion_of("walk_reversed")
    ('walk', True)
    """
    motion = class_name.removesuffix(REVERSED_SUFFIX)
    return motion, motion != class_name


def select_classes(
    track: str, classes: list[str] | tuple[str, ...] | None
) -> list[str]:
    """The classes of a track, or those of them that are asked for, in that order.

    Raises:
        UserError: Unknown track or class, a class twice, or none.
    """
    if track not in TRACKS:
        raise UserError(f"`track` must be one of {list(TRACKS)}. Received: {track!r}.")
    if classes is None:
        return list(TRACKS[track])
    unknown = [name for name in classes if name not in TRACKS[track]]
    if unknown:
        raise UserError(
            f"Track {track!r} has no class {unknown[0]!r}. Choose among "
            f"{', '.join(TRACKS[track])}."
        )
    if not classes or len(set(classes)) != len(classes):
        raise UserError(
            f"`classes` must name at least one class, each once. "
            f"Received: {list(classes)}."
        )
    return list(classes)
