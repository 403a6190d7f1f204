"""The demo from end to end: render, train, evaluate, report."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from keras_dynamonet.cli import demo_report
from keras_dynamonet.cli.demo_outputs import collect_outputs
from keras_dynamonet.cli.demo_settings import DemoFolder, DemoSettings, opposite_pairs
from keras_dynamonet.cli.evaluation_report import classification_of, evaluation_report
from keras_dynamonet.cli.memory_meter import MemoryMeter
from keras_dynamonet.cli.output import error_console, say
from keras_dynamonet.cli.progress import TrainingProgress
from keras_dynamonet.data.manifest import Manifest, load_manifest
from keras_dynamonet.data.mocap.benchmark import DESCRIPTION_FILE, render_benchmark
from keras_dynamonet.data.mocap.classes import DEMO_CLASSES
from keras_dynamonet.data.pipeline import evaluation_dataset
from keras_dynamonet.files import atomic_path
from keras_dynamonet.reports.contents import Provenance
from keras_dynamonet.reports.page import write_report
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.evaluation import EvaluationResult, evaluate
from keras_dynamonet.training.interruption import TrainingInterrupted
from keras_dynamonet.training.run_directory import RunDirectory, describe_environment
from keras_dynamonet.training.trained_model import TrainedModel, load_trained_model
from keras_dynamonet.training.trainer import RunResult, resume, train

RENDER, TRAIN, EVALUATE, REPORT = STAGES = (
    "render the videos",
    "train the model",
    "evaluate it on held-out videos",
    "write the report",
)


class Demo:
    """One run of the demo.

    Args:
        settings: Its sizes.
        folder: Where it keeps everything; open.
        command: The line that starts it, for the report.
    """

    def __init__(self, settings: DemoSettings, folder: DemoFolder, command: str):
        self._settings = settings
        self._folder = folder
        self._command = command
        progress = folder.read_json(folder.settings)
        self._stage_seconds = dict(progress["stage_seconds"])
        self._earlier_peak = progress["peak_rss_gib"] or 0.0
        self._meter = MemoryMeter()

    def run(self) -> dict[str, Any]:
        """Does what is not done yet.

        Returns:
            The content of `summary.json`.

        Raises:
            UserError: If the recordings cannot be fetched, or training fails.
            TrainingInterrupted: If a signal asks to stop.
        """
        settings, folder = self._settings, self._folder
        with self._meter:
            with self._stage(RENDER):
                _render(settings, folder)
            with self._stage(TRAIN):
                training = _train(settings, folder)
            # Interruptions do not count, training before them does.
            seconds = max(self._stage_seconds[TRAIN], training.seconds)
            self._stage_seconds[TRAIN] = seconds
            with self._stage(EVALUATE):
                _copy_model(training, folder)
                trained = load_trained_model(folder.model)
                test = load_manifest(
                    folder.videos, split="test", class_names=trained.class_names
                )
                result = evaluate(trained, test, frame_clips=len(test))
            with self._stage(REPORT):
                self._write_report(training, trained, test, result)
        summary = self._summary(result)
        folder.write_json(folder.summary, summary)
        return summary

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Says what is going on and notes how long it took, if it had not been done."""
        say(f"{STAGES.index(name) + 1}/{len(STAGES)} {name}")
        started = time.monotonic()
        yield
        self._stage_seconds.setdefault(name, time.monotonic() - started)
        self._folder.write_progress(
            self._settings, self._stage_seconds, self._peak_rss_gib
        )

    @property
    def _peak_rss_gib(self) -> float | None:
        return max(self._earlier_peak, self._meter.peak_gib or 0.0) or None

    def _write_report(
        self,
        training: RunResult,
        trained: TrainedModel,
        test: Manifest,
        result: EvaluationResult,
    ) -> None:
        settings, names = self._settings, trained.class_names
        opposites = opposite_pairs(names)
        batches = evaluation_dataset(test, trained.spec, batch_size=settings.batch_size)
        outputs = collect_outputs(trained.model, batches)
        report = replace(
            evaluation_report(result, title="", history=training.history),
            title="DynamoNet demo",
            subtitle=demo_report.subtitle(trained.model, settings),
            notice=demo_report.QUICK_NOTICE if settings.quick else "",
            classification=classification_of(
                result,
                order_blind_ceiling=demo_report.order_blind_ceiling(
                    result.labels, opposites
                ),
                opposites=opposites,
            ),
            task_intro=demo_report.TASK_INTRO,
            task=demo_report.class_loops(outputs, names, settings.fps),
            strips=demo_report.frame_strips(trained.model, outputs, names, opposites),
            filters=demo_report.filter_comparisons(
                trained.model, outputs, names, opposites
            ),
            examples=demo_report.examples(outputs, names, settings.fps),
            provenance=self._provenance(training, trained, result),
            limits=demo_report.LIMITS,
        )
        write_report(report, self._folder.report)

    def _provenance(
        self, training: RunResult, trained: TrainedModel, result: EvaluationResult
    ) -> Provenance:
        settings, model = self._settings, trained.model
        environment = describe_environment()
        counts = settings.clips_per_class
        facts = {
            "seed": settings.seed,
            "architecture": f"{settings.preset}, {model.count_params():,} parameters",
            "motion filters": f"{model.kernel_size} x {model.kernel_size} pixels, "
            f"{model.filter_source}",
            "a clip": f"{model.num_frames} observed frames + 1 of "
            f"{settings.size} x {settings.size} pixels, {settings.fps:g} a second",
            "videos a class": ", ".join(f"{n} {name}" for name, n in counts.items()),
            "best epoch": f"{training.best_epoch} of {settings.epochs}",
            "all videos": _benchmark(self._folder)["fingerprint"],
            "test videos": result.data_fingerprint,
            "machine": environment["platform"],
        }
        return Provenance(
            command=self._command,
            facts=facts,
            stage_seconds=self._stage_seconds,
            peak_rss_gib=self._peak_rss_gib,
            versions={"python": environment["python"], **environment["versions"]},
            configuration=RunDirectory(self._folder.training).config.read_text("utf-8"),
        )

    def _summary(self, result: EvaluationResult) -> dict[str, Any]:
        settings, folder, quality = self._settings, self._folder, result.frame_quality
        accuracy = result.classification.video_accuracy
        opposites = opposite_pairs(result.class_names)
        psnr = {
            f"psnr_{name}": {
                "observed": getattr(quality.observed, bound),
                "unseen": getattr(quality.unseen, bound),
            }
            for name, bound in (
                ("copy_last", "floor"),
                ("model", "model"),
                ("ceiling", "ceiling"),
            )
        }
        return {
            "quick": settings.quick,
            "video_accuracy": accuracy.value,
            "video_accuracy_interval": list(accuracy.interval),
            "test_videos": accuracy.total,
            "order_blind_ceiling": demo_report.order_blind_ceiling(
                result.labels, opposites
            ),
            **psnr,
            "wall_seconds": sum(self._stage_seconds.values()),
            "stage_seconds": self._stage_seconds,
            "peak_rss_gib": self._peak_rss_gib,
            "settings": settings.to_dict(),
            "class_names": result.class_names,
            "confusion": result.classification.confusion.tolist(),
            "data_fingerprint": _benchmark(folder)["fingerprint"],
            "command": self._command,
            "environment": describe_environment(),
            "report": str(folder.report),
            "model": str(folder.model),
        }


def _render(settings: DemoSettings, folder: DemoFolder) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = error_console()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("videos", total=None)
        render_benchmark(
            folder.videos,
            track="time",
            classes=DEMO_CLASSES,
            clips_per_class=settings.clips_per_class,
            size=settings.size,
            num_frames=settings.video_frames,
            fps=settings.fps,
            camera=settings.camera,
            seed=settings.seed,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _train(settings: DemoSettings, folder: DemoFolder) -> RunResult:
    run = RunDirectory(folder.training)
    try:
        with TrainingProgress() as progress:
            if run.config.exists():
                return resume(run.path, callbacks=[progress])
            config = TrainConfig(
                data=str(folder.videos),
                run_dir=str(run.path),
                preset=settings.preset,
                size=settings.size,
                num_frames=settings.num_frames,
                fps=settings.fps,
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                learning_rate=settings.learning_rate,
                seed=settings.seed,
            )
            return train(config, callbacks=[progress])
    except TrainingInterrupted as interrupt:
        raise TrainingInterrupted(
            "stopped; the same command goes on where it was."
        ) from interrupt


def _copy_model(training: RunResult, folder: DemoFolder) -> None:
    with atomic_path(folder.model) as temporary:
        shutil.copyfile(training.run.best, temporary)


def _benchmark(folder: DemoFolder) -> dict[str, Any]:
    return folder.read_json(folder.videos / DESCRIPTION_FILE)
