"""The demo's outcome in numbers: `summary.json`, and how the run was made."""

from collections.abc import Mapping
from typing import Any

from keras_dynamonet.cli.demo_settings import DemoSettings
from keras_dynamonet.reports.contents import Provenance
from keras_dynamonet.training.evaluation import EvaluationResult
from keras_dynamonet.training.run_directory import describe_environment
from keras_dynamonet.training.trained_model import TrainedModel
from keras_dynamonet.training.trainer import RunResult

_PSNR_NAMES = {"copy_last": "floor", "model": "model", "ceiling": "ceiling"}


def make_summary(
    result: EvaluationResult,
    *,
    order_blind_ceiling: float,
    settings: DemoSettings,
    stage_seconds: Mapping[str, float],
    peak_rss_gib: float | None,
    data_fingerprint: str,
    command: str,
) -> dict[str, Any]:
    """The content of `summary.json`; shares lie in [0, 1], PSNR is in dB."""
    found, quality = result.classification, result.frame_quality
    psnr = {
        f"psnr_{name}": {
            "observed": getattr(quality.observed, bound),
            "unseen": getattr(quality.unseen, bound),
        }
        for name, bound in _PSNR_NAMES.items()
    }
    return {
        "quick": settings.quick,
        "video_accuracy": found.video_accuracy.value,
        "video_accuracy_interval": list(found.video_accuracy.interval),
        "test_videos": found.video_accuracy.total,
        "order_blind_ceiling": order_blind_ceiling,
        **psnr,
        "wall_seconds": sum(stage_seconds.values()),
        "stage_seconds": dict(stage_seconds),
        "peak_rss_gib": peak_rss_gib,
        "class_names": result.class_names,
        "confusion": found.confusion.tolist(),
        "settings": settings.to_dict(),
        "data_fingerprint": data_fingerprint,
        "command": command,
        "environment": describe_environment(),
    }


def make_provenance(
    training: RunResult,
    trained: TrainedModel,
    *,
    settings: DemoSettings,
    stage_seconds: Mapping[str, float],
    peak_rss_gib: float | None,
    data_fingerprint: str,
    command: str,
) -> Provenance:
    """How the run was made, for the report."""
    model, environment = trained.model, describe_environment()
    counts = settings.clips_per_class
    facts = {
        "seed": settings.seed,
        "architecture": f"{settings.preset}, {model.count_params():,} parameters",
        "motion filters": f"{model.kernel_size} x {model.kernel_size} pixels, "
        f"{model.filter_source}",
        "a clip": f"{model.num_frames} observed frames and 1 unseen, {settings.size} x "
        f"{settings.size} pixels, {settings.fps:g} a second",
        "videos a class": ", ".join(f"{n} {name}" for name, n in counts.items()),
        "best epoch": f"{training.best_epoch} of {settings.epochs}",
        "fingerprint of the videos": data_fingerprint,
        "machine": environment["platform"],
    }
    return Provenance(
        command=command,
        facts=facts,
        stage_seconds=stage_seconds,
        peak_rss_gib=peak_rss_gib,
        versions={"python": environment["python"], **environment["versions"]},
        configuration=training.run.config.read_text("utf-8"),
    )
