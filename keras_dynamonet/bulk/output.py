"""The folder of a bulk inference: which parts are done, and for which job."""

import hashlib
import json
import logging
import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keras_dynamonet.bulk.job import BulkJob
from keras_dynamonet.bulk.table import BAD, OK, TOO_SHORT, import_pyarrow
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.errors import UserError
from keras_dynamonet.files import atomic_path, remove_leftovers, remove_written
from keras_dynamonet.training.trained_model import model_file

_logger = logging.getLogger(__name__)

JOB_FILE = "_job.json"
SUMMARY_FILE = "_summary.json"
"""Readers of Parquet folders leave out names that begin with `_` or `.`."""
_PART = re.compile(r"part-\d{6,}\.parquet")


@dataclass(frozen=True)
class BulkSummary:
    """What a finished output holds.

    Args:
        videos: Rows, one a video.
        ok: Videos with an answer.
        bad: Videos that could not be read.
        too_short: Videos left out for being shorter than a clip.
        parts: Files.
        skipped_parts: Those that an earlier run had written.
        workers: Processes that wrote the others.
        seconds: Wall-clock time of this run.
    """

    videos: int
    ok: int
    bad: int
    too_short: int
    parts: int
    skipped_parts: int
    workers: int
    seconds: float


def part_path(out: Path, number: int) -> Path:
    """File of one part.

    Example:

    >>> part_path(Path("out"), 12).as_posix()
    'out/part-000012.parquet'
    """
    return out / f"part-{number:06d}.parquet"


def open_output(out: Path, identity: dict[str, Any], *, overwrite: bool) -> None:
    """Makes the folder of a job, or opens it to go on with the same job.

    Args:
        out: The folder.
        identity: What decides the rows, see :func:`job_identity`.
        overwrite: Whether to delete the output that is there, of another job or of this
            one. Files that no job writes stay, and the log names them.

    Raises:
        UserError: If the folder holds no output at all, or that of another job.
    """
    job_file = out / JOB_FILE
    if out.is_dir() and any(out.iterdir()):
        earlier = _read_identity(job_file)
        if earlier is None:
            raise UserError(
                f"{out}: holds files that are no output of this program. Choose an "
                "empty or a new folder."
            )
        differing = sorted(
            name
            for name in earlier.keys() | identity.keys()
            if earlier.get(name) != identity.get(name)
        )
        if not differing and not overwrite:
            remove_leftovers(out)
            return
        if not overwrite:
            raise UserError(
                f"{out}: holds the output of another job (it differs in "
                f"{', '.join(differing)}). Choose another folder, or replace it with "
                "--overwrite."
            )
        _remove_output(out)
    try:
        with atomic_path(job_file) as temporary:
            temporary.write_text(json.dumps(identity, indent=2) + "\n")
    except OSError as error:
        raise UserError(f"{out}: cannot be written to: {error.strerror}.") from error


def job_identity(job: BulkJob, manifest: Manifest) -> dict[str, Any]:
    """What an output must agree in for a job to go on with it.

    Where the model lies does not matter, only what it is; nor does the size of the
    batches, which changes the last digits at most.

    Args:
        job: The settings.
        manifest: The videos.
    """
    settings = asdict(job)
    del settings["model"], settings["batch_size"]
    with model_file(job.model).open("rb") as file:
        fingerprint = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        **settings,
        "model_sha256": fingerprint,
        "data_fingerprint": manifest.fingerprint(),
        "videos": len(manifest),
    }


def _read_identity(job_file):
    """What a job wrote of itself; None if there is no such file, or it says else."""
    try:
        earlier = json.loads(job_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    is_job = isinstance(earlier, dict) and "data_fingerprint" in earlier
    return earlier if is_job else None


def missing_parts(out: Path, num_parts: int) -> list[int]:
    """Numbers of the parts that have no file yet."""
    present = {path.name for path in _parts(out)}
    return [k for k in range(num_parts) if part_path(out, k).name not in present]


def close_output(
    out: Path, *, videos: int, skipped_parts: int, workers: int, seconds: float
) -> BulkSummary:
    """Counts the rows of a finished output and writes `_summary.json`.

    Args:
        out: The folder.
        videos: Rows that it must have.
        skipped_parts: Parts that an earlier run had written.
        workers: Processes that wrote the others.
        seconds: Time of this run.

    Raises:
        UserError: If the number of rows is wrong, e.g. because files were removed
            meanwhile.
    """
    pa = import_pyarrow()
    remove_leftovers(out)
    files = _parts(out)
    counts: Counter[str] = Counter()
    for file in files:
        table = pa.parquet.read_table(file, columns=["status"])
        counts.update(table.column("status").to_pylist())
    if counts.total() != videos:
        raise UserError(
            f"{out}: has {counts.total()} rows for {videos} videos. Run the same "
            "command again to write what is missing."
        )
    summary = BulkSummary(
        videos=videos,
        ok=counts[OK],
        bad=counts[BAD],
        too_short=counts[TOO_SHORT],
        parts=len(files),
        skipped_parts=skipped_parts,
        workers=workers,
        seconds=seconds,
    )
    with atomic_path(out / SUMMARY_FILE) as temporary:
        temporary.write_text(json.dumps(asdict(summary), indent=2) + "\n")
    return summary


def _parts(out: Path) -> list[Path]:
    """The files that `part_path` names, and no others."""
    return sorted(path for path in out.iterdir() if _PART.fullmatch(path.name))


def _remove_output(out: Path) -> None:
    """Deletes all that a job writes but `_job.json`, which replaces itself."""
    kept = remove_written(out, (*_parts(out), out / SUMMARY_FILE))
    kept.remove(JOB_FILE)
    if kept:
        _logger.warning("%s: kept what is no job's: %s", out, ", ".join(kept))
