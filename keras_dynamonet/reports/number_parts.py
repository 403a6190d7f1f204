"""Turns the numbers of a report into what the page's template prints."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from keras_dynamonet.reports import class_figures, curve_figures, wording
from keras_dynamonet.reports.contents import Provenance, Report
from keras_dynamonet.reports.gauges import accuracy_gauge, psnr_gauge
from keras_dynamonet.reports.intervals import wilson_interval
from keras_dynamonet.reports.results import Classification, FramePrediction
from keras_dynamonet.reports.svg import to_svg
from keras_dynamonet.reports.wording import decibels, percent

MISTAKES_LISTED = 8
NEXT_FRAME = "Next frame"

CURVES = (
    ("accuracy", "Accuracy", "accuracy", "Share of clips named right."),
    ("loss", "Total loss", "loss", "What training makes small: the sum of its parts."),
    ("action_loss", "Action loss", "cross-entropy", "The part for naming the action."),
    ("frame_loss", "Frame loss", "frame loss", "The part for the next frames."),
    (
        "psnr_gain_observed",
        "Next frame, observed",
        "dB over a copy",
        "Above zero, the predicted frame beats a copy of the last one.",
    ),
    (
        "psnr_gain_unseen",
        "Next frame, unseen",
        "dB over a copy",
        "The same for the one frame the model has not seen.",
    ),
)
"""Key in the history, title, label of the vertical axis, caption."""


def headline(report: Report) -> str:
    """The result in a sentence or two."""
    sentences = []
    if report.classification is not None:
        sentences.append(wording.recognition_sentence(report.classification))
    if report.frame_prediction is not None:
        sentences.append(wording.prediction_sentence(report.frame_prediction))
    return " ".join(filter(None, sentences))


def tiles(report: Report) -> list[dict]:
    """The key numbers with their number lines."""
    cards = []
    result = report.classification
    if result is not None:
        note = f"{result.correct} of {wording.videos(result)} named right"
        cards.append(
            {
                "name": "Action accuracy",
                "value": percent(result.accuracy),
                "scale": accuracy_gauge(result),
                "note": f"{note}; the pale bar is the 95 % interval.",
            }
        )
    for bounds, name, note in _bounds_named(report.frame_prediction):
        way = wording.way_sentence(bounds)
        cards.append(
            {
                "name": name,
                "value": wording.signed_gain(bounds),
                "scale": psnr_gauge(bounds),
                "note": f"{note}: {decibels(bounds.model)}. {way}",
            }
        )
    return cards


def recognition(result: Classification | None) -> dict | None:
    """Confusion matrix, accuracy of each class, frequent mistakes."""
    if result is None:
        return None
    names = result.class_names
    totals = result.confusion.sum(axis=1)
    table = []
    for index, name in enumerate(names):
        hits, total = int(result.confusion[index, index]), int(totals[index])
        low, high = wilson_interval(hits, total) if total else (0.0, 1.0)
        table.append(
            {
                "name": name,
                "hits": hits,
                "total": total,
                "accuracy": percent(hits / total) if total else "–",
                "interval": f"{percent(low, 0)} to {percent(high, 0)}",
            }
        )
    many = len(names) > class_figures.MAX_CLASSES_WITH_COUNTS
    return {
        "intro": _recognition_intro(result),
        "matrix": Markup(
            to_svg(
                class_figures.confusion_matrix(result),
                "confusion",
                f"Confusion matrix of {len(names)} classes; {result.correct} of "
                f"{result.videos} videos lie on the diagonal.",
            )
        ),
        "many": many,
        "matrix_caption": _matrix_caption(result, many),
        "panels": [
            Markup(
                to_svg(
                    panel,
                    f"classes{number}",
                    "Accuracy of each class with 95 % interval; the numbers are in "
                    "the table below.",
                )
            )
            for number, panel in enumerate(class_figures.class_accuracy(result))
        ],
        "panel_caption": "A dot is the share of this class's videos that were named "
        "right; the thin line is the 95 % interval: with few videos it is long, and "
        "two classes whose lines overlap may well be equal."
        + (" Hardest classes first." if many else ""),
        "confused": [
            (names[true], names[named], count, int(totals[true]))
            for true, named, count in result.confused_pairs(MISTAKES_LISTED)
            if many  # few classes: the matrix says it already
        ],
        "table": table,
    }


def curves(
    history: Mapping[str, Sequence[float]], result: Classification | None
) -> list[dict]:
    """Learning curves of the quantities that the history holds."""
    cards = []
    for key, title, label, caption in CURVES:
        if not len(history.get(key, ())) and not len(history.get(f"val_{key}", ())):
            continue
        levels = {}
        if key == "accuracy" and result is not None:
            levels["guessing"] = result.chance
            if result.order_blind_ceiling is not None:
                levels["order-blind ceiling"] = result.order_blind_ceiling
        if key.startswith("psnr_gain"):
            levels["a plain copy"] = 0.0
        figure = curve_figures.curve(
            history, key, label=label, share=key == "accuracy", levels=levels
        )
        svg = to_svg(figure, f"curve-{key}", _curve_description(history, key, title))
        cards.append({"title": title, "svg": Markup(svg), "caption": caption})
    return cards


def frame_table(prediction: FramePrediction | None) -> list[dict]:
    """Floor, model and, if known, ceiling, a row each for observed and unseen."""
    rows = []
    for bounds, name, _ in _bounds_named(prediction):
        share = bounds.share_of_way
        rows.append(
            {
                "name": name.removeprefix(f"{NEXT_FRAME}, "),
                "floor": decibels(bounds.floor),
                "model": decibels(bounds.model),
                "ceiling": "" if bounds.ceiling is None else decibels(bounds.ceiling),
                "gain": wording.signed_gain(bounds),
                "share": "–" if share is None else percent(share, 0),
            }
        )
    return rows


def provenance(made: Provenance | None) -> dict | None:
    """How the run was made, as rows of names and values."""
    if made is None:
        return None
    stages = [(name, wording.duration(s)) for name, s in made.stage_seconds.items()]
    if len(stages) > 1:
        total = sum(made.stage_seconds.values())
        stages.append(("in all, until this page", wording.duration(total)))
    if made.peak_rss_gib is not None:
        stages.append(("peak memory", f"{made.peak_rss_gib:.1f} GiB"))
    return {
        "command": made.command,
        "facts": list(made.facts.items()),
        "stages": stages,
        "versions": list(made.versions.items()),
        "configuration": made.configuration,
    }


def _bounds_named(prediction: FramePrediction | None):
    if prediction is None:
        return
    if prediction.observed is not None:
        name = f"{NEXT_FRAME}, observed"
        yield prediction.observed, name, "Transitions the model sees"
    if prediction.unseen is not None:
        yield prediction.unseen, f"{NEXT_FRAME}, unseen", "Forecast of the last frame"


def _recognition_intro(result: Classification) -> str:
    sentences = [f"{wording.videos(result)}."]
    if result.trained_on == 0:
        sentences = [f"{result.videos} videos that played no part in training."]
    if result.protocol:
        sentences.append(f"Protocol: {result.protocol}.")
    if result.clip_accuracy is not None:
        sentences.append(f"Single clips: {percent(result.clip_accuracy)} right.")
    if result.top5_accuracy is not None and len(result.class_names) > 10:
        sentences.append(
            f"The true class is among the first five in "
            f"{percent(result.top5_accuracy)}."
        )
    loose = result.accuracy_up_to_direction
    if loose is not None:
        sentences.append(
            f"If an action and its reversal counted as one, {percent(loose)} would be "
            f"right; telling which way time runs costs the rest, down to "
            f"{percent(result.accuracy)}."
        )
    return " ".join(sentences)


def _matrix_caption(result: Classification, many: bool) -> str:
    text = "A row is a true class, a column what the model called it; the diagonal is "
    text += "right. The colour is the share of the row"
    text += ", rare mistakes are drawn stronger than in proportion." if many else "."
    if result.opposites and not many:
        text += (
            " Look at the two cells beside each other within a pair (an action and "
            "its reversal): a model that does not see order would fill both evenly."
        )
    return text


def _curve_description(history, key: str, title: str) -> str:
    ends = [
        f"{text} {history[name][0]:.3g} to {history[name][-1]:.3g}"
        for name, text in ((key, "training"), (f"val_{key}", "validation"))
        if len(history.get(name, ()))
    ]
    return f"{title} over the epochs: {', '.join(ends)}."
