"""Writing one artefact: all or nothing, proved before it gets its name."""

import contextlib
import errno
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.parity import (
    BATCH_SIZES,
    Pairs,
    ParityReport,
    compare,
    refuse_constants,
    run_in_batches,
)
from keras_dynamonet.exporters.sidecar import batch_range, sidecar_path
from keras_dynamonet.exporters.source import ExportSource, file_sha256
from keras_dynamonet.files import atomic_path, remove_leftovers

Runner = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""An artefact in its runtime: from clips to outputs by name."""

_VERSIONED = ("keras-dynamonet", "keras", "numpy", "tensorflow", "tensorflow-cpu")
# The largest networks take minutes: what is older, nobody will finish.
_KILLED_AFTER_HOURS = 6
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportResult:
    """An artefact that has passed.

    Args:
        path: The artefact, a file or a folder.
        sidecar: The JSON file beside it.
        parity: How it compares with Keras.
        size_bytes: Size of the artefact.
        seconds: Time to write and to prove it.
    """

    path: Path
    sidecar: Path
    parity: ParityReport
    size_bytes: int
    seconds: float


def export_artefact(
    source: ExportSource,
    target: str | os.PathLike,
    *,
    format: str,
    precision: str = "float32",
    write: Callable[[Path], Mapping | None],
    load: Callable[[Path], tuple[Runner, str]],
    packages: Sequence[str] = (),
    batch_sizes: Sequence[int] = BATCH_SIZES,
    also_compare: Callable[[], Pairs] | None = None,
    overwrite: bool = False,
    on_report: Callable[[ParityReport], None] | None = None,
) -> ExportResult:
    """Writes an artefact, runs it in its own runtime, compares, and only then keeps it.

    Args:
        source: The network and the clips.
        target: Final name of the artefact.
        format: Name of the format, for the sidecar.
        precision: A key of `keras_dynamonet.exporters.parity.TOLERANCES`.
        write: Writes the artefact to the path it is given; what it returns goes into
            the sidecar.
        load: Loads it from there; returns a function from clips to outputs and the name
            of the runtime.
        packages: Distributions whose versions go into the sidecar.
        batch_sizes: Batch sizes to try in turn.
        also_compare: Called once the artefact is loaded; more outputs to compare.
        overwrite: Whether `target` may exist. It is replaced if the new artefact passes
            and removed if it fails: an artefact of an earlier network must not be taken
            for one of this network.
        on_report: Gets the comparison before a failed one raises.

    Returns:
        The result.

    Raises:
        UserError: If the target exists or cannot be written, or the clips prove
            nothing.
        ParityError: If the artefact differs from Keras; then nothing is left of it.
    """
    target = Path(target)
    sidecar = sidecar_path(target)
    check_target(target, folder=format == "saved_model", overwrite=overwrite)
    refuse_constants(source.expected, source.clips.source)
    started = time.monotonic()
    with _writable(target):
        for path in (target, sidecar):
            remove_leftovers(path.parent, of=path, hours=_KILLED_AFTER_HOURS)
    with (
        _writable(target),
        _replaced(target, sidecar) if overwrite else contextlib.nullcontext(),
        atomic_path(sidecar) as described,
    ):
        with atomic_path(target) as written:
            extra = write(written) or {}
            run, runtime = load(written)
            received = run_in_batches(run, source.clips.parity, batch_sizes)
            pairs = None if also_compare is None else also_compare()
            report = compare(
                label_of(target),
                source.expected,
                received,
                precision=precision,
                runtime=runtime,
                pairs=pairs,
                clip_hashes=source.clips.parity_hashes,
            )
            del run
            if on_report is not None:
                on_report(report)
            report.raise_if_failed()
            document = {
                **describe(
                    source, format, precision, report, packages, batch_range(extra)
                ),
                **extra,
                "sha256": file_sha256(written),
            }
            described.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
            size = size_of(written)
    seconds = time.monotonic() - started
    _logger.info("%s: %.1f MB in %.0f s", target, size / 1e6, seconds)
    return ExportResult(target, sidecar, report, size, seconds)


def describe(
    source: ExportSource,
    format: str,
    precision: str,
    report: ParityReport,
    packages: Sequence[str] = (),
    batches: tuple[int, int | None] = (1, None),
) -> dict:
    """The sidecar: everything that a program needs to feed and to read an artefact.

    Args:
        source: The network and the clips.
        format: Name of the format.
        precision: Of the artefact.
        report: How it compares with Keras.
        packages: Distributions whose versions are told, too.
        batches: Fewest and most clips in a batch; `None` for any number.
    """
    model, signature = source.model, source.signature
    least, most = batches
    batch = least if least == most else None
    backbone = model.backbone.get_config()
    return {
        "format": format,
        "precision": precision,
        "class_names": model.class_names,
        "input": {
            "name": "clip",
            "dtype": "uint8",
            "shape": [batch, *signature.clip_shape[1:]],
            "batch_range": [least, most],
            "colours": "RGB",
            "range": [0, 255],
        },
        "outputs": {
            name: [batch, *value.shape[1:]] for name, value in source.expected.items()
        },
        "clip_frames": model.num_frames,
        "fps": model.fps,
        "frame_stride": source.stride,
        "short_videos": source.short_videos,
        "frame_size": list(model.frame_size),
        "normalization": {
            "inside_the_artefact": True,
            "scale": 1 / 255,
            "mean": list(backbone["mean"]),
            "std": list(backbone["std"]),
        },
        "filter_size": model.kernel_size,
        "source": {"path": _text(source.path), "sha256": source.sha256},
        "versions": {
            "python": platform.python_version(),
            **_versions([*_VERSIONED, *packages]),
        },
        "parity": report.to_json(),
        "parity_clips_from": source.clips.source,
    }


def label_of(target: Path) -> str:
    """How reports name an artefact: the file, of a served model its name as well.

    Example:

    >>> label_of(Path("out/model.onnx")), label_of(Path("serving/models/actions/2"))
    ('model.onnx', 'actions/2')
    """
    return "/".join(target.parts[-2:]) if target.name.isdigit() else target.name


def check_belongs(path: Path, sidecar: Mapping) -> None:
    """Checks that an artefact is the one that the sidecar beside it describes.

    Args:
        path: The artefact.
        sidecar: From :func:`~keras_dynamonet.exporters.sidecar.read_sidecar`.

    Raises:
        UserError: If its content has another hash.
    """
    if file_sha256(path) != sidecar["sha256"]:
        kinds = {"saved_model": "SavedModel", "tensorrt": "engine"}
        raise UserError(
            f"{path}: is not the {kinds.get(sidecar['format'], 'artefact')} that "
            f"{sidecar_path(path).name} describes. Take both from one export, or "
            "export again."
        )


def check_target(target: Path, *, folder: bool, overwrite: bool) -> None:
    """Checks that an artefact may be written.

    Args:
        target: The artefact.
        folder: Whether it is to be a folder, as a SavedModel is.
        overwrite: Whether it may exist.

    Raises:
        UserError: If the artefact or its sidecar exists already and `overwrite` is
            false, or there is a file or a link in the place of a folder, a folder in
            that of a file, or one that is no SavedModel.
    """
    refuse_other_content(target, folder=folder, other="--name or --out")
    refuse_existing(target, overwrite=overwrite, other="folder with --out")


def refuse_other_content(target: Path, *, folder: bool, other: str) -> None:
    """Checks that nothing but an artefact is in the place of an artefact.

    Args:
        target: The artefact.
        folder: Whether it is to be a folder, as a SavedModel is.
        other: Options that choose another place, for the message.

    Raises:
        UserError: If there is a file or a link in the place of a folder, a folder in
            that of a file, or one that is no SavedModel.
    """
    found = None
    if folder and target.is_symlink():
        found = "is a symbolic link"
    elif folder and target.is_file():
        found = "is a file, not the folder of a SavedModel"
    elif target.is_dir() and not (folder and (target / "saved_model.pb").is_file()):
        found = "is a folder, but no SavedModel" if folder else "is a folder"
    if found is not None:
        raise UserError(
            f"{target}: {found}, and is not replaced. Choose another {other}."
        )


def refuse_existing(target: Path, *, overwrite: bool, other: str) -> None:
    """Checks that neither an artefact nor its sidecar is there already.

    Args:
        target: The artefact.
        overwrite: Whether they may be.
        other: What to choose another one of, for the message.

    Raises:
        UserError: If one is and `overwrite` is false.
    """
    for path in (target, sidecar_path(target)):
        if path.exists() and not overwrite:
            raise UserError(
                f"{path}: exists already. Add --overwrite to replace it, or choose "
                f"another {other}."
            )


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


@contextlib.contextmanager
def _writable(target: Path) -> Iterator[None]:
    """Turns the errors of a folder that cannot be written into a line for the user.

    Those of other files, such as a full folder of temporary ones, name them.
    """
    try:
        yield
    except OSError as error:
        here = [target, sidecar_path(target), target.parent]
        # What stands in the way of a folder that is to be made.
        here += [place for place in target.parents if not place.is_dir()]
        elsewhere = error.filename is not None and Path(error.filename) not in here
        if elsewhere or error.strerror is None or error.errno == errno.ENOMEM:
            raise
        raise UserError(f"{target}: cannot be written: {error.strerror}.") from error


@contextlib.contextmanager
def _replaced(target: Path, sidecar: Path) -> Iterator[None]:
    """Removes an earlier artefact if the block, which makes the new one, fails."""
    try:
        yield
    except Exception:
        if target.is_dir():  # a SavedModel, see `check_target`
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        if not sidecar.is_dir():
            sidecar.unlink(missing_ok=True)
        raise


def _versions(names):
    found = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _text(path):
    return None if path is None else path.as_posix()
