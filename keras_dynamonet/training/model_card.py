"""The model card: what a model is, how it was made, and what it was found to do."""

import csv
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from keras_dynamonet.files import atomic_path
from keras_dynamonet.training.evaluation import EvaluationResult
from keras_dynamonet.training.run_directory import describe_environment
from keras_dynamonet.training.settings import load_settings
from keras_dynamonet.training.trained_model import TrainedModel

SETTINGS_SHOWN = (
    *("task", "preset", "init", "epochs", "batch_size", "optimizer", "learning_rate"),
    *("warmup_epochs", "weight_decay", "frame_loss", "frame_loss_weight", "augment"),
    *("precision", "seed"),
)
"""Settings of the training that the Markdown card names; the JSON card has all."""

_PSNR_TITLES = {
    "floor": "copy the last (floor)",
    "model": "model",
    "ceiling": "best filter (ceiling)",
}


def make_model_card(
    trained: TrainedModel, result: EvaluationResult, data: str
) -> dict[str, Any]:
    """Collects the card as a JSON document.

    Args:
        trained: The model that was evaluated.
        result: What was found.
        data: DATA as it was named.

    Returns:
        Sections `model`, `training` (`None` for a file without a run) and `evaluation`.
    """
    model, run = trained.model, trained.run
    training = None
    # Of a run, a user may have copied the model and its settings alone.
    environment = run.read_environment() if run is not None else {}
    if environment and run.state.exists():
        training = {
            **environment,
            "settings": load_settings(run.config),
            "state": json.loads(run.state.read_text()),
        }
    return {
        "model": {
            "file": str(trained.path),
            "sha256": hashlib.sha256(trained.path.read_bytes()).hexdigest(),
            "parameters": model.count_params(),
            "class_names": result.class_names,
            "observed_frames": model.num_frames,
            "frame_size_px": list(model.frame_size),
            "fps": trained.spec.fps,
            "stride": trained.spec.stride if trained.spec.fps is None else None,
            "kernel_size_px": model.kernel_size,
            "filter_source": model.filter_source,
        },
        "training": training,
        "evaluation": {**describe_environment(), "data": data, **result.to_json()},
    }


def write_evaluation(
    folder: str | Path, card: dict[str, Any], result: EvaluationResult
) -> None:
    """Writes `model_card.json`, `model_card.md` and `predictions.csv`."""
    folder = Path(folder)
    with atomic_path(folder / "model_card.json") as temporary:
        temporary.write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    with atomic_path(folder / "model_card.md") as temporary:
        temporary.write_text(format_model_card(card), "utf-8", "replace")
    if result.class_names:
        with atomic_path(folder / "predictions.csv") as temporary:
            _write_predictions(temporary, result)


def format_model_card(card: dict[str, Any]) -> str:
    """The card as Markdown."""
    sections = [_model_section(card["model"])]
    if card["training"]:
        sections.append(_training_section(card["training"]))
    sections.append(_evaluation_section(card["evaluation"]))
    return "\n".join(sections)


def accuracy_rows(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Overall accuracies worth showing, with their names.

    Args:
        found: The section `evaluation` of a card.

    Returns:
        Name and values; the top five only where there are more than five classes.
    """
    rows = [("videos", found["video_accuracy"])]
    if len(found["class_names"]) > 5:
        rows.append(("videos, top 5", found["top5_accuracy"]))
    if found["clip_accuracy"]["total"] > found["video_accuracy"]["total"]:
        rows.append(("single clips", found["clip_accuracy"]))
    return rows


def psnr_table(
    found: dict[str, Any],
) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """How well frames are predicted, in dB.

    Args:
        found: The section `evaluation` of a card, with `frame_psnr_db`.

    Returns:
        Titles of the columns, the ceiling only where there is one; and name and cells
        of each row.
    """
    quality = found["frame_psnr_db"]
    parts = {name: quality[name] for name in ("observed", "unseen") if quality[name]}
    titles = {
        key: title
        for key, title in _PSNR_TITLES.items()
        if all(part[key] is not None for part in parts.values())
    }
    rows = [
        (name, [f"{part[key]:.2f}" for key in titles]) for name, part in parts.items()
    ]
    return list(titles.values()), rows


def videos_sentence(found: dict[str, Any]) -> str:
    """How many videos were judged, and what became of the others.

    Args:
        found: The section `evaluation` of a card.
    """
    parts = [f"{found['videos']} videos"]
    if found["videos_trained_on"]:
        parts.append(f"{found['videos_trained_on']} of which it was trained on")
    if found["bad_files"]:
        parts.append(f"{len(found['bad_files'])} more could not be read")
    if found["too_short"]:
        parts.append(f"{len(found['too_short'])} more are shorter than a clip")
    return ", ".join(parts)


def _model_section(model: dict[str, Any]) -> str:
    height, width = model["frame_size_px"]
    pace = (
        f"{model['fps']:g} frames a second"
        if model["fps"]
        else f"one frame in {model['stride']} of the video"
    )
    classes = (
        ", ".join(map(_escape, model["class_names"]))
        or "none: learnt from frames alone"
    )
    return f"""# Model card: {Path(model["file"]).name}

DynamoNet with {model["parameters"]:,} parameters.

- Clips: {model["observed_frames"]} observed frames of {height} x {width} pixels, {pace}
- Motion filters: {model["kernel_size_px"]} x {model["kernel_size_px"]} pixels, {
        model["filter_source"]
    }
- Classes: {classes}
- File: `{model["file"]}`
- SHA-256: `{model["sha256"]}`
"""


def _training_section(training: dict[str, Any]) -> str:
    state, settings = training["state"], training["settings"]
    shown = ", ".join(f"{name} {settings[name]}" for name in SETTINGS_SHOWN)
    return f"""## Training

- Command: `{training["command"]}`
- Data: `{settings["data"]}`, {training["training_videos"]} videos ({
        training["training_labelled"]
    } with a label), fingerprint `{training["training_fingerprint"]}`;
  {training["validation_videos"]} videos to choose the best epoch by
- Settings: {shown}
- Best epoch: {state["best_epoch"]} of {state["epoch"]}, {state["step"]} steps,
  {state["seconds"]:.0f} s
- Started: {training["started"]}, {_versions(training)}
"""


def _versions(made: dict[str, Any]) -> str:
    versions = [f"{name} {v}" for name, v in made["versions"].items() if v]
    return ", ".join([f"Python {made['python']}", *versions])


def _evaluation_section(found: dict[str, Any]) -> str:
    lines = [
        "## Evaluation",
        "",
        f"- Command: `{found['command']}`",
        f"- Data: `{found['data']}`, {videos_sentence(found)}, "
        f"fingerprint `{found['data_fingerprint']}`",
        f"- Protocol: {found['protocol']['text']}",
        f"- Made: {found['started']}, {_versions(found)}",
        "",
    ]
    if found["video_accuracy"]:
        lines += ["| accuracy | value | 95 % interval | correct |"]
        lines += ["| --- | --- | --- | --- |"]
        lines += [f"| {name} | {_cells(row)} |" for name, row in accuracy_rows(found)]
        lines += ["", "| class | accuracy | 95 % interval | correct |"]
        lines += ["| --- | --- | --- | --- |"]
        for name, row in found["per_class"].items():
            cells = _cells(row) if row else "no videos | |"
            lines.append(f"| {_escape(name)} | {cells} |")
        lines.append("")
    if found["frame_psnr_db"]:
        clips = found["frame_psnr_db"]["clips"]
        names, rows = psnr_table(found)
        lines += [f"Next-frame prediction on {clips} clips, PSNR in dB:", ""]
        lines.append(f"| frame | {' | '.join(names)} |")
        lines.append(f"| --- |{' --- |' * len(names)}")
        lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
        lines.append("")
    return "\n".join(lines)


def _escape(name: str) -> str:
    """A name that Markdown shows as it is, in a table, too."""
    return re.sub(r"([\\`*<>|\[\]])", r"\\\1", " ".join(name.split()))


def _cells(accuracy: dict[str, Any]) -> str:
    value, low, high = (100 * accuracy[key] for key in ("value", "low", "high"))
    counts = f"{accuracy['correct']} of {accuracy['total']}"
    return f"{value:.1f} % | {low:.1f} to {high:.1f} % | {counts}"


def _write_predictions(path: Path, result: EvaluationResult) -> None:
    with path.open("w", encoding="utf-8", newline="", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "class", "predicted", *result.class_names])
        for name, label, row in zip(
            result.video_paths, result.labels, result.probabilities, strict=True
        ):
            true = result.class_names[label] if label >= 0 else ""
            predicted = result.class_names[int(row.argmax())]
            writer.writerow([name, true, predicted, *(f"{p:.6f}" for p in row)])
