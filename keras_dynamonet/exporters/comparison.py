"""Comparing artefacts that exist already with the network they came from."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.artefact import Runner, check_belongs, label_of
from keras_dynamonet.exporters.c_api_client import read_signatures, runtime_name
from keras_dynamonet.exporters.parity import (
    BATCH_SIZES,
    ParityReport,
    compare,
    refuse_constants,
    run_in_batches,
)
from keras_dynamonet.exporters.saved_model import (
    SavedModelRunner,
    compare_signatures,
)
from keras_dynamonet.exporters.sidecar import batch_range, read_sidecar, sidecar_path
from keras_dynamonet.exporters.source import ExportSource


def artefact_names(paths: Sequence[str | os.PathLike]) -> list[str]:
    """What artefacts are called in reports, so that no two of them are called alike.

    Args:
        paths: The artefacts of one report.

    Returns:
        What an export calls them, or, if two are called alike, paths from the folder
        that holds them all.

    Example:

    >>> artefact_names(["old/net.onnx", "new/net.tflite"])
    ['net.onnx', 'net.tflite']
    >>> artefact_names(["runs/old/net.onnx", "runs/new/net.onnx"])
    ['old/net.onnx', 'new/net.onnx']
    """
    paths = [Path(os.path.abspath(path)) for path in paths]
    labels = [label_of(path) for path in paths]
    if len(set(labels)) == len(set(paths)):
        return labels
    parent = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(parent).as_posix() for path in paths]


def compare_artefact(
    source: ExportSource, path: str | os.PathLike, *, name: str | None = None
) -> ParityReport:
    """Runs an artefact in its own runtime and compares it with Keras.

    Args:
        source: The network and the clips.
        path: The artefact; its sidecar tells the precision.
        name: What the report calls it (default: as an export does).

    Returns:
        The comparison of the outputs that the artefact has, of a SavedModel those of
        every signature.

    Raises:
        UserError: If the artefact or its sidecar is missing or damaged, they do not
            belong to each other, or the artefact cannot be loaded.
    """
    path = Path(path)
    sidecar = sidecar_of(path)
    missing = [name for name in sidecar["outputs"] if name not in source.expected]
    if missing:
        raise UserError(f"{path}: has outputs that Keras was not asked for: {missing}.")
    expected = {name: source.expected[name] for name in sidecar["outputs"]}
    refuse_constants(expected, source.clips.source)
    clips, batches, pairs = source.clips.parity, batch_sizes(sidecar), None
    if sidecar["format"] == "saved_model":
        with SavedModelRunner(path) as runner:
            received = run_in_batches(runner.run_default, clips, batches)
            runtime = runtime_name()
            listed = sidecar.get("signatures", ())
            unlisted = sorted(set(read_signatures(path)) - set(listed))
            if unlisted:
                raise UserError(
                    f"{path}: has signatures that {sidecar_path(path).name} does not "
                    f"list: {', '.join(unlisted)}. Export again."
                )
            pairs = compare_signatures(source, listed, sidecar["outputs"], runner.run)
    else:
        with open_artefact(path, sidecar["format"]) as (run, runtime):
            received = run_in_batches(run, clips, batches)
    return compare(
        name or artefact_names([path])[0],
        expected,
        received,
        precision=sidecar["precision"],
        runtime=runtime,
        pairs=pairs,
        clip_hashes=source.clips.parity_hashes,
    )


def sidecar_of(path: str | os.PathLike) -> dict:
    """The JSON document beside an artefact, if it describes this artefact.

    Raises:
        UserError: If there is no artefact, or no sidecar, or it is damaged or that of
            another artefact.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such artefact.")
    if not sidecar_path(path).is_file():
        raise UserError(
            f"{path}: has no sidecar {sidecar_path(path).name} beside it. Name an "
            "artefact that an export wrote."
        )
    sidecar = read_sidecar(sidecar_path(path))
    check_belongs(path, sidecar)
    return sidecar


def tell_other_origin(
    source: ExportSource, path: str | os.PathLike, sidecar: Mapping
) -> str | None:
    """Why an artefact may differ from Keras: it was exported from another file.

    Args:
        source: The network that it was compared with.
        path: The artefact.
        sidecar: The document beside it.

    Returns:
        A line for the user; `None` if it is from the same file, or nobody knows.
    """
    origin = sidecar.get("source")
    sha256 = origin.get("sha256") if isinstance(origin, Mapping) else None
    if not isinstance(sha256, str) or source.sha256 in (None, sha256):
        return None
    return (
        f"{path}: was exported from another file (SHA-256 {sha256[:8]}) than "
        f"{source.path} ({source.sha256[:8]}). Export again, or compare it with the "
        "network that it came from."
    )


def batch_sizes(sidecar: Mapping) -> tuple[int, ...]:
    """Numbers of clips that an artefact takes, as :func:`run_in_batches` wants them.

    Args:
        sidecar: The document beside the artefact.

    Example:

    >>> batch_sizes({"batch": 2}), batch_sizes({"engine": {"batches": [1, 1, 4]}})
    ((2,), (1, 3))
    """
    least, most = batch_range(sidecar)
    if most is None:
        return BATCH_SIZES
    return tuple(n for n in BATCH_SIZES if least <= n <= most) or (most,)


@contextlib.contextmanager
def open_artefact(path: Path, format: str) -> Iterator[tuple[Runner, str]]:
    """Loads an artefact into its own runtime.

    Args:
        path: The artefact.
        format: Name of its format.

    Yields:
        A function from clips to outputs by name, and the name of the runtime.

    Raises:
        UserError: If the runtime refuses it, or nothing here can run it.
    """
    if format == "saved_model":
        with SavedModelRunner(path) as runner:
            yield runner.run_default, runtime_name()
        return
    if format == "tensorrt":
        from keras_dynamonet.exporters.tensorrt_runner import open_engine

        with open_engine(path) as engine:
            yield engine, engine.name
        return
    if format == "onnx":
        from keras_dynamonet.exporters.onnx import load_runner
    else:
        from keras_dynamonet.exporters.tflite import load_runner
    yield load_runner(path)
