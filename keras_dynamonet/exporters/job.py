"""Several artefacts of one network, and one report about all of them."""

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_dynamonet.errors import UsageError, UserError, reason_of
from keras_dynamonet.exporters.artefact import (
    ExportResult,
    check_target,
    label_of,
)
from keras_dynamonet.exporters.formats import Format, target_paths
from keras_dynamonet.exporters.parity import ParityReport
from keras_dynamonet.exporters.parity_report import FILE_NAME, write_parity
from keras_dynamonet.exporters.sidecar import sidecar_path
from keras_dynamonet.exporters.source import ExportSource

_REPORTS = (FILE_NAME, Path(FILE_NAME).with_suffix(".md").name)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobResult:
    """What became of several exports.

    Args:
        results: The artefacts that passed.
        reports: Every comparison that was made, failed ones too.
        errors: What was wrong with the others, one line each.
    """

    results: tuple[ExportResult, ...]
    reports: tuple[ParityReport, ...]
    errors: tuple[str, ...]

    def __add__(self, other: "JobResult") -> "JobResult":
        return JobResult(
            self.results + other.results,
            self.reports + other.reports,
            self.errors + other.errors,
        )


def check_jobs(
    jobs: Sequence[tuple[Format, str]],
    folder: str | os.PathLike,
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    overwrite: bool,
) -> None:
    """Checks everything that can be wrong before any work is done; writes nothing.

    Args:
        jobs: As for :func:`run_jobs`.
        folder: As for :func:`run_jobs`.
        name: Base of the file names.
        options: As for :func:`run_jobs`.
        overwrite: As for :func:`run_jobs`.

    Raises:
        UsageError: If the name makes no file names, or that of a report.
        UserError: If an extra is missing, an option is impossible here, a target
            exists, or the folder cannot be written.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UsageError(
            f"--name {name!r}: use letters, digits, - and _ for the names of files."
        )
    targets = target_paths(Path(folder), name, jobs)
    for path in (path for target in targets for path in (target, sidecar_path(target))):
        # Some file systems take capitals for small letters.
        if path.name.lower() in _REPORTS:
            raise UsageError(
                f"--name {name}: {path.name} is the name of the parity report. Choose "
                "another."
            )
    for entry, precision in jobs:
        entry.check(precision, options or {})
    for (entry, _), target in zip(jobs, targets, strict=True):
        check_target(target, folder=not entry.suffix, overwrite=overwrite)
    check_folder(Path(folder))


def check_folder(folder: Path, option: str = "--out") -> None:
    """Checks that a folder can be written, or made; it is not made here.

    Args:
        folder: The folder.
        option: What names it on the command line.

    Raises:
        UserError: If it cannot.
    """
    place = Path(os.path.abspath(folder))
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise UserError(f"{folder}: cannot be made: {place} is not a folder.")
    if not os.access(place, os.W_OK):
        raise UserError(
            f"{folder}: cannot be written (read-only). Choose another with {option}."
        )


def run_jobs(
    source: ExportSource,
    jobs: Sequence[tuple[Format, str]],
    folder: str | os.PathLike,
    *,
    options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Callable[[str], None] | None = None,
) -> JobResult:
    """Exports one artefact after the other; a failure does not stop the others.

    Args:
        source: The network and the clips.
        jobs: From :func:`~keras_dynamonet.exporters.formats.plan`; what can be wrong
            with them :func:`check_jobs` tells before any work is done.
        folder: Where the artefacts, `parity.json` and `parity.md` go.
        options: Options of the formats by name; each format takes its own.
        overwrite: Whether artefacts may exist; one whose successor fails is removed.
        progress: Called with the name of each artefact before it is made.

    Returns:
        What was made, compared and refused.
    """
    folder = Path(folder)
    done = JobResult((), (), ())
    for (entry, precision), target in zip(
        jobs, target_paths(folder, source.name, jobs), strict=True
    ):
        if progress is not None:
            progress(target.name)
        own = entry.own(options or {})
        if len(entry.precisions) > 1:
            own["precision"] = precision

        def export(on_report, entry=entry, target=target, own=own):
            return entry.exporter()(
                source, target, overwrite=overwrite, on_report=on_report, **own
            )

        # Reported at once: a later export may be interrupted.
        done += run_job(export, folder, target, clips_from=source.clips.source)
    return done


def run_job(
    export: Callable[[Callable[[ParityReport], None]], ExportResult],
    folder: Path,
    target: Path,
    *,
    clips_from: str,
) -> JobResult:
    """Makes one artefact; a failure is logged and returned, not raised.

    Args:
        export: Makes it. Takes the function that gets the comparison.
        folder: Where `parity.json` and `parity.md` go.
        target: The artefact.
        clips_from: Where the clips come from, for the report.

    Returns:
        What was made, compared or refused.
    """
    results, reports, errors = [], [], []
    try:
        results.append(export(reports.append))
    except UserError as error:
        errors.append(str(error))
    except Exception as error:  # of one of many libraries
        _logger.debug("%s", target, exc_info=True)
        errors.append(f"{target}: {reason_of(error)}")
    try:
        record(folder, target, reports, source=clips_from, kept=bool(results))
    except OSError as error:
        reason = error.strerror or error
        errors.append(f"{folder / FILE_NAME}: cannot be written: {reason}.")
    except Exception as error:  # must not cost the artefacts that are still to come
        _logger.debug("%s", folder / FILE_NAME, exc_info=True)
        errors.append(f"{folder / FILE_NAME}: {reason_of(error)}")
    for error in errors:
        _logger.error("%s", error)
    return JobResult(tuple(results), tuple(reports), tuple(errors))


def record(
    folder: Path,
    target: Path,
    reports: Sequence[ParityReport],
    *,
    source: str,
    kept: bool,
) -> None:
    """Writes into `parity.json` what became of one artefact.

    Args:
        folder: Where `parity.json` is.
        target: The artefact, there or not.
        reports: The comparisons that were made of it.
        source: Where the clips come from.
        kept: Whether this artefact is now what lies there.
    """
    # What did not fail by its figures has none if it was not kept.
    told = reports if kept or not all(reports) else []
    gone = [] if told or target.exists() else [label_of(target)]
    if told or (folder / FILE_NAME).exists():
        write_parity(folder, told, source=source, gone=gone)
