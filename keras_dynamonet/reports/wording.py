"""Sentences and numbers in plain words. What they claim follows from the numbers."""

from keras_dynamonet.reports.intervals import wilson_interval
from keras_dynamonet.reports.results import (
    Bounds,
    Classification,
    FramePrediction,
)

NO_BREAK = "\N{NO-BREAK SPACE}"


def percent(share: float, digits: int = 1) -> str:
    r"""A share in `[0, 1]` as text; a no-break space keeps number and sign together.

    Example:

    >>> percent(0.875), percent(0.5), percent(1.0)
    ('87.5\xa0%', '50\xa0%', '100\xa0%')
    """
    text = f"{100 * share:.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text}{NO_BREAK}%"


def decibels(value: float) -> str:
    r"""A PSNR in dB.

    Example:

    >>> decibels(26.04)
    '26.0\xa0dB'
    """
    return f"{value:.1f}{NO_BREAK}dB"


def duration(seconds: float) -> str:
    """A duration in the largest fitting unit.

    Example:

    >>> duration(8.31), duration(605)
    ('8.3 s', '10 min 5 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def recognition_sentence(result: Classification) -> str:
    """What the accuracy means, compared with guessing and the order-blind ceiling."""
    low, high = wilson_interval(result.correct, result.videos)
    sentence = (
        f"The model names the right action in {percent(result.accuracy)} of "
        f"{videos(result)} (95 % interval {percent(low, 0)} to {percent(high, 0)})"
    )
    ceiling = result.order_blind_ceiling
    if ceiling is None:
        return f"{sentence}; guessing gives {percent(result.chance)}."
    bound = f"the {percent(ceiling)} that is the most anyone can reach without "
    if low > ceiling:
        return f"{sentence}, well above {bound}seeing the order of the frames."
    if result.accuracy > ceiling:
        return (
            f"{sentence}, above {bound}seeing the order of the frames, but too few "
            "videos to be sure."
        )
    return f"{sentence}, which does not beat {bound}seeing the order of the frames."


def videos(result: Classification) -> str:
    """How many videos were judged, and whether the model knew some of them."""
    if result.trained_on:
        return f"{result.videos} videos, {result.trained_on} of which it was trained on"
    return f"{result.videos} {'held-out ' if result.trained_on == 0 else ''}videos"


def prediction_sentence(prediction: FramePrediction) -> str:
    """What the predicted frames are worth, compared with copying the last frame."""
    cases = [
        (bounds, where)
        for bounds, where in (
            (prediction.observed, "where it observes the motion"),
            (prediction.unseen, "on the one frame it has not seen"),
        )
        if bounds is not None
    ]
    if not cases:
        return ""
    copy = "a plain copy of the last frame"
    if all(bounds.gain > 0 for bounds, _ in cases):
        gains = " and ".join(f"by {gain(bounds)} {where}" for bounds, where in cases)
        return f"Its predicted next frames beat {copy} {gains}."
    bounds, where = cases[0]
    rest = "".join(f" and {_verdict(other)} {place}" for other, place in cases[1:])
    return (
        f"Its predicted next frames are {_verdict(bounds)} than {copy} {where}{rest}."
    )


def _verdict(bounds: Bounds) -> str:
    side = "better" if bounds.gain > 0 else "worse"
    return f"{gain(bounds).lstrip('−')} {side}"


def gain(bounds: Bounds) -> str:
    r"""Decibels gained over copying, with a sign where they are lost.

    Example:

    >>> gain(Bounds(26.0, 26.5)), gain(Bounds(26.0, 25.8))
    ('0.50\xa0dB', '−0.20\xa0dB')
    """
    return f"{bounds.gain:.2f}{NO_BREAK}dB".replace("-", "−")


def signed_gain(bounds: Bounds) -> str:
    """The same with a plus sign where decibels are gained."""
    return ("+" if bounds.gain >= 0 else "") + gain(bounds)


def way_sentence(bounds: Bounds) -> str:
    """How far the model gets from a plain copy to the best possible filter."""
    share = bounds.share_of_way
    if bounds.gain <= 0:
        return "No better than a plain copy."
    if share is None:
        return "Above zero it beats a plain copy."
    return f"{percent(share, 0)} of the way from a plain copy to the best filter."
