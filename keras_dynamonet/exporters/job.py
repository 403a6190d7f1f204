"""Several artefacts of one network, and one report about all of them."""

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.artefact import ExportResult, check_target, label_of
from keras_dynamonet.exporters.formats import Format, target_paths
from keras_dynamonet.exporters.parity import ParityReport
from keras_dynamonet.exporters.parity_report import FILE_NAME, write_parity
from keras_dynamonet.exporters.source import ExportSource

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
    """Checks everything that can be wrong before any work is done.

    Raises:
        UserError: If an extra is missing, an option is impossible here, a target
            exists, or the folder cannot be written.
    """
    for entry, precision in jobs:
        entry.check(precision, options or {})
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UserError(
            f"--name {name!r}: use letters, digits, - and _ for the names of files."
        )
    for path in target_paths(Path(folder), name, jobs):
        check_target(path, overwrite=overwrite)
    check_folder(Path(folder))


def check_folder(folder: Path) -> None:
    """Checks that a folder can be written, and makes it.

    Raises:
        UserError: If it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}.") from error
    if not os.access(folder, os.W_OK):
        raise UserError(
            f"{folder}: cannot be written (read-only). Choose another with --out."
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
        jobs: From :func:`~keras_dynamonet.exporters.formats.plan`.
        folder: Where the artefacts, `parity.json` and `parity.md` go.
        options: Options of the formats by name; each format takes its own.
        overwrite: Whether artefacts may exist; one whose successor fails is removed.
        progress: Called with the name of each artefact before it is made.

    Returns:
        What was made, compared and refused.

    Raises:
        UserError: As :func:`check_jobs`.
    """
    folder = Path(folder)
    options = options or {}
    check_jobs(jobs, folder, source.name, options=options, overwrite=overwrite)
    results, reports, errors = [], [], []
    for (entry, precision), target in zip(
        jobs, target_paths(folder, source.name, jobs), strict=True
    ):
        if progress is not None:
            progress(target.name)
        compared = len(reports)
        own = entry.own(options)
        if len(entry.precisions) > 1:
            own["precision"] = precision
        try:
            result = entry.exporter()(
                source, target, overwrite=overwrite, on_report=reports.append, **own
            )
        except UserError as error:
            _logger.error("%s", error)
            errors.append(str(error))
        except Exception as error:  # of one of many libraries
            _logger.debug("%s", target, exc_info=True)
            reason = (str(error).strip() or "no reason given").splitlines()[0]
            errors.append(f"{target}: {type(error).__name__}: {reason}")
            _logger.error("%s", errors[-1])
        else:
            results.append(result)
        # At once: a later export may be interrupted.
        record(folder, target, reports[compared:], source=source.clips.source)
    return JobResult(tuple(results), tuple(reports), tuple(errors))


def record(
    folder: Path, target: Path, reports: Sequence[ParityReport], *, source: str
) -> None:
    """Writes into `parity.json` what became of one artefact.

    Args:
        folder: Where `parity.json` is.
        target: The artefact, there or not.
        reports: The comparisons that were made of it.
        source: Where the clips come from.
    """
    # What did not fail by its figures has none without an artefact.
    gone = [] if target.exists() or not all(reports) else [label_of(target)]
    told = [] if gone else reports
    if told or (folder / FILE_NAME).exists():
        write_parity(folder, told, source=source, gone=gone)
