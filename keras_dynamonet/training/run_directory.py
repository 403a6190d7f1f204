"""The folder of a run: what lies where, and who may write to it."""

import csv
import datetime
import importlib.metadata
import json
import logging
import platform
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dynamonet.errors import UserError
from keras_dynamonet.files import atomic_path, remove_written
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.settings import from_settings, load_settings

if TYPE_CHECKING:
    from keras_dynamonet.data.manifest import Manifest

logger = logging.getLogger(__name__)

VERSIONED = (
    "keras-dynamonet",
    "keras",
    "tensorflow",
    "numpy",
    "av",
    "opencv-python-headless",
)


class RunDirectory:
    """Paths inside the folder of one training run.

    Attributes:
        path: The folder.
        config: `config.json`, the settings; `--config` accepts it.
        environment: `environment.json`: command, versions and data.
        videos: `videos.csv`: path, class and split of every video, as DATA for
            `dynamonet evaluate RUN RUN/videos.csv --split validation`.
        last: `last.keras`, the newest checkpoint, to resume from.
        best: `best.keras`, architecture and weights of the best epoch.
        state: `state.json`, where the run is, for people and scripts to read.
        history: `history.csv`, losses and metrics of every epoch.
        tensorboard: `tensorboard/`, event files.
        bad_files: `bad_files.json`, videos that could not be read.
        evaluation: `evaluation/`, written by `dynamonet evaluate`.

    Example:

    >>> RunDirectory("runs/first").best.as_posix()
    'runs/first/best.keras'
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.environment = self.path / "environment.json"
        self.videos = self.path / "videos.csv"
        self.last = self.path / "last.keras"
        self.best = self.path / "best.keras"
        self.state = self.path / "state.json"
        self.history = self.path / "history.csv"
        self.tensorboard = self.path / "tensorboard"
        self.bad_files = self.path / "bad_files.json"
        self.evaluation = self.path / "evaluation"

    def check_free(self, *, overwrite: bool = False) -> None:
        """Checks that a new run may be written here.

        Args:
            overwrite: Whether an earlier run may be replaced. A folder that is not a
                run's is never touched.

        Raises:
            UserError: If the folder holds an earlier run, or is no run's folder.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; a run needs a folder.")
        if any(self.path.iterdir()):
            if not self.holds_run():
                raise UserError(
                    f"{self.path}: holds files that are not a run's. "
                    "Choose an empty or a new folder."
                )
            if not overwrite:
                raise UserError(
                    f"{self.path}: holds a run already. Go on with --resume, replace "
                    "it with --overwrite, or choose another folder."
                )

    def start(self) -> None:
        """Makes the folder for a new run; an earlier run in it is deleted.

        Files that no run writes stay, e.g. notes and exports, and the log names them.

        Raises:
            UserError: If the folder cannot be made, or is no run's folder.
        """
        self.check_free(overwrite=True)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            kept = remove_written(self.path, self._written())
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be made: {error.strerror}."
            ) from error
        if kept:
            logger.warning(
                "%s: kept what is not the run's, which may belong to the earlier one: "
                "%s",
                self.path,
                ", ".join(kept),
            )

    def _written(self) -> tuple[Path, ...]:
        """All that a run writes."""
        return (
            *(self.config, self.environment, self.videos, self.last, self.best),
            *(self.state, self.history, self.tensorboard, self.bad_files),
            self.evaluation,
            *self.path.glob("bad_files.*.json"),
        )

    def holds_run(self) -> bool:
        """Whether `config.json` is that of a run; other programs write such files."""
        try:
            settings = load_settings(self.config)
        except UserError:
            return False
        return {"data", "run_dir", "task"} <= settings.keys()

    def add_bad_files(
        self, found: dict[str, list[dict]], process_index: int = 0
    ) -> None:
        """Adds to `bad_files.json`, lists of `path`, `reason` and `count` by kind.

        Further processes, which read other videos, have `bad_files.1.json` and so on.
        """
        list_path = self.bad_files
        if process_index:
            list_path = list_path.with_suffix(f".{process_index}.json")
        known = json.loads(list_path.read_text()) if list_path.exists() else {}
        merged = {}
        for kind, files in found.items():
            by_path = {file["path"]: file for file in known.get(kind, [])}
            for file in files:
                earlier = by_path.get(file["path"], {"count": 0})
                count = earlier["count"] + file["count"]
                by_path[file["path"]] = {**file, "count": count}
            merged[kind] = [by_path[path] for path in sorted(by_path)]
        self.write_json(list_path, merged)

    def read_environment(self) -> dict[str, Any]:
        """The content of `environment.json`; nothing where there is no such file."""
        if not self.environment.exists():
            return {}
        return json.loads(self.environment.read_text())

    def add_resumption(self, step: int, distribution: dict[str, Any]) -> None:
        """Notes in `environment.json` that the run goes on, where, and on what."""
        document = self.read_environment()
        if not document:  # removed: a card must not take the rest for all of it
            return
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        resumption = {"step": step, "started": started, "distribution": distribution}
        document.setdefault("resumed", []).append(resumption)
        self.write_json(self.environment, document)

    def write_json(self, path: Path, document: Any) -> None:
        """Writes one of the JSON files, whole or not at all."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(document, indent=2) + "\n")

    def write_videos(self, splits: "Mapping[str, Manifest | None]") -> None:
        """Writes `videos.csv` from the videos of each split."""
        # Here, so that `dynamonet train --help` need not load the decoders.
        from keras_dynamonet.data.places import absolute_path

        with atomic_path(self.videos) as temporary:
            with temporary.open(
                "w", encoding="utf-8", errors="surrogateescape", newline=""
            ) as file:
                writer = csv.writer(file)
                writer.writerow(["path", "label", "split"])
                for split, manifest in splits.items():
                    for index, label in enumerate(manifest.labels if manifest else ()):
                        path = absolute_path(manifest.path(index))
                        name = "" if label < 0 else manifest.class_names[label]
                        writer.writerow([path, name, split])

    def trained_on(self) -> frozenset[str] | None:
        """Absolute paths of the training videos, or `None` where that is not known."""
        if not self.videos.exists():
            return None
        with self.videos.open(
            encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            rows = csv.DictReader(file)
            return frozenset(row["path"] for row in rows if row["split"] == "train")

    def read_history(self) -> list[dict[str, float]]:
        """The rows of `history.csv`; none where there is no such file yet."""
        if not self.history.exists():
            return []
        with self.history.open(encoding="utf-8", newline="") as file:
            return [
                {name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(file)
            ]

    def write_history(self, rows: list[dict[str, float]]) -> None:
        """Writes `history.csv`, one row an epoch."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        with atomic_path(self.history) as temporary:
            with temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, names)
                writer.writeheader()
                writer.writerows(rows)


def load_run_config(run: RunDirectory) -> TrainConfig:
    """The configuration that a run was started with.

    Raises:
        UserError: If the folder holds no run.
    """
    if not run.config.exists():
        raise UserError(f"{run.path}: holds no run (no config.json).")
    # Runs from before this setting took clips as they come, and go on so.
    settings = {"labelled_share": 0.0, **load_settings(run.config)}
    return from_settings(TrainConfig, {**settings, "run_dir": str(run.path)})


def describe_environment() -> dict[str, Any]:
    """The command that is running, when, and the versions that matter.

    Example:

    >>> sorted(describe_environment())
    ['command', 'platform', 'python', 'started', 'versions']
    """
    program = Path(sys.argv[0]).name
    return {
        "command": shlex.join([program, *sys.argv[1:]]),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in VERSIONED},
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
