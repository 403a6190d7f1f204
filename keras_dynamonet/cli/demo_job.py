"""The demo from end to end: render, train, evaluate, report."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from keras_dynamonet.cli import demo_report
from keras_dynamonet.cli.demo_outputs import collect_outputs
from keras_dynamonet.cli.demo_real_clip import show_real_clip
from keras_dynamonet.cli.demo_settings import DemoFolder, DemoSettings, opposite_pairs
from keras_dynamonet.cli.demo_summary import make_provenance, make_summary
from keras_dynamonet.cli.evaluation_report import (
    classification_of,
    evaluation_report,
    frame_prediction_of,
)
from keras_dynamonet.cli.memory_meter import MemoryMeter
from keras_dynamonet.cli.output import say, step_progress
from keras_dynamonet.cli.progress import TrainingProgress
from keras_dynamonet.data.manifest import Manifest, load_manifest
from keras_dynamonet.data.mocap.benchmark import DESCRIPTION_FILE, render_benchmark
from keras_dynamonet.data.mocap.classes import DEMO_CLASSES
from keras_dynamonet.data.pipeline import evaluation_dataset
from keras_dynamonet.files import atomic_path
from keras_dynamonet.reports.page import write_report
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.evaluation import EvaluationResult, evaluate
from keras_dynamonet.training.interruption import TrainingInterrupted
from keras_dynamonet.training.run_directory import RunDirectory
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
        started: `time.monotonic()` of the start, which may lie before this object's.
    """

    def __init__(
        self,
        settings: DemoSettings,
        folder: DemoFolder,
        *,
        command: str,
        started: float,
    ):
        self._settings = settings
        self._folder = folder
        self._command = command
        progress = folder.read_json(folder.settings)
        self._stage_seconds = dict(progress["stage_seconds"])
        self._earlier_peak_gib = progress["peak_rss_gib"] or 0.0
        self._meter = MemoryMeter()
        self._stage_started = started

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
            # A run that was stopped in between took longer than this call.
            seconds = max(self._stage_seconds[TRAIN], training.seconds)
            self._stage_seconds[TRAIN] = seconds
            with self._stage(EVALUATE):
                _copy_model(training, folder)
                trained = load_trained_model(folder.model)
                test = load_manifest(
                    folder.videos, split="test", class_names=trained.class_names
                )
                with step_progress("clips") as progress:
                    result = evaluate(
                        trained,
                        test,
                        frame_clips=settings.frame_clips,
                        progress=progress,
                    )
                # The benchmark's splits share no video.
                classification = replace(result.classification, trained_on=0)
                result = replace(result, classification=classification, trained_on=0)
            with self._stage(REPORT):
                self._write_report(training, trained, test, result)
        summary = make_summary(
            result,
            order_blind_ceiling=demo_report.order_blind_ceiling(
                result.labels, opposite_pairs(trained.class_names)
            ),
            **self._how_made(),
        )
        summary |= {"report": str(folder.report), "model": str(folder.model)}
        folder.write_json(folder.summary, summary)
        return summary

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Says what is going on and notes how long it took.

        A stage that an earlier call has done keeps the time it took then; checking that
        it is done is not counted again.
        """
        say(f"{STAGES.index(name) + 1}/{len(STAGES)} {name}")
        yield
        now = time.monotonic()
        self._stage_seconds.setdefault(name, now - self._stage_started)
        self._stage_started = now
        self._folder.write_progress(
            self._settings, self._stage_seconds, self._peak_rss_gib
        )

    @property
    def _peak_rss_gib(self) -> float | None:
        return max(self._earlier_peak_gib, self._meter.peak_gib or 0.0) or None

    def _how_made(self) -> dict[str, Any]:
        benchmark = self._folder.read_json(self._folder.videos / DESCRIPTION_FILE)
        return {
            "settings": self._settings,
            "stage_seconds": self._stage_seconds,
            "peak_rss_gib": self._peak_rss_gib,
            "data_fingerprint": benchmark["fingerprint"],
            "command": self._command,
        }

    def _write_report(
        self,
        training: RunResult,
        trained: TrainedModel,
        test: Manifest,
        result: EvaluationResult,
    ) -> None:
        settings, model, names = self._settings, trained.model, trained.class_names
        pairs = opposite_pairs(names)
        batches = evaluation_dataset(test, trained.spec, batch_size=settings.batch_size)
        outputs = collect_outputs(model, batches)
        ceiling = demo_report.order_blind_ceiling(result.labels, pairs)
        report = evaluation_report(
            result,
            title="DynamoNet demo",
            subtitle=demo_report.subtitle(model, settings),
            history=training.history,
        )
        report = replace(
            report,
            notice=demo_report.QUICK_NOTICE if settings.quick else "",
            classification=classification_of(
                result, order_blind_ceiling=ceiling, opposites=pairs
            ),
            frame_prediction=frame_prediction_of(
                result,
                note=demo_report.SOLVED_NOTE if model.filter_source == "solved" else "",
            ),
            task_intro=demo_report.TASK_INTRO,
            task=demo_report.class_loops(outputs, names, settings.fps),
            strips=demo_report.frame_strips(model, outputs, names, pairs),
            filters=demo_report.filter_comparisons(model, outputs, names, pairs),
            examples=demo_report.examples(outputs, names, settings.fps),
            command_shown=show_real_clip(trained, self._folder.path),
            provenance=make_provenance(training, trained, **self._how_made()),
            limits=demo_report.LIMITS,
        )
        write_report(report, self._folder.report)


def _render(settings: DemoSettings, folder: DemoFolder) -> None:
    with step_progress("videos") as progress:
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
            progress=progress,
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
                dropout=settings.dropout,
                scales=settings.scales,
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
