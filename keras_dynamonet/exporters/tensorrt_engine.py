"""Which engine runs on which machine: the record beside it, and a refusal."""

import contextlib
import os
import platform
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from keras_dynamonet.errors import MissingExtraError, UserError, first_line
from keras_dynamonet.exporters.artefact import check_belongs
from keras_dynamonet.exporters.sidecar import (
    ARTEFACT_KEYS,
    read_sidecar,
    sidecar_path,
)
from keras_dynamonet.exporters.tensorrt_network import FLAVOURS, load_tensorrt


@dataclass(frozen=True)
class EngineRecord:
    """What an engine was built for; `engine` in its sidecar.

    Args:
        flavour: `"tensorrt"` or `"tensorrt_rtx"`.
        version: Of that package.
        compute_capabilities: Of the GPUs it is for, e.g. `("8.6", "8.9")`.
        batches: Smallest, best and largest number of clips.
        onnx_sha256: Hash of the ONNX model that it was built from.
        precision: Precision of that model.
        platform: System and processor that it was built on and runs on; empty in the
            records of earlier versions, where nobody knows.
    """

    flavour: str
    version: str
    compute_capabilities: tuple[str, ...]
    batches: tuple[int, int, int]
    onnx_sha256: str
    precision: str
    platform: str = ""

    def describe(self) -> dict:
        """For the sidecar."""
        return asdict(self)


def this_platform() -> str:
    """System and processor, e.g. `"Linux x86_64"`."""
    return f"{platform.system()} {platform.machine()}"


@dataclass(frozen=True)
class Machine:
    """What this machine can run engines with.

    Args:
        versions: Version by flavour of TensorRT, of those installed.
        compute_capability: Of the GPU, e.g. `"8.9"`; `None` without a usable one.
        problem: Why there is none, for messages.
        platform: As in :class:`EngineRecord`.
    """

    versions: dict[str, str]
    compute_capability: str | None
    problem: str = ""
    platform: str = field(default_factory=this_platform)


def this_machine() -> Machine:
    """Looks for TensorRT and for a GPU."""
    versions = {}
    for flavour in FLAVOURS:
        with contextlib.suppress(MissingExtraError):
            versions[flavour] = load_tensorrt(flavour).version
    capability, problem = _compute_capability()
    return Machine(versions, capability, problem)


def read_record(engine: str | os.PathLike) -> tuple[EngineRecord, dict]:
    """The record of an engine file, and the whole sidecar.

    Raises:
        UserError: If a file is missing, the sidecar is damaged, or does not belong to
            the engine.
    """
    path, sidecar = Path(engine), sidecar_path(engine)
    for file in (path, sidecar):
        if not file.is_file():
            raise UserError(
                f"{file}: no such file. An engine needs its sidecar beside it."
            )
    needs = (*ARTEFACT_KEYS, "engine")
    document = read_sidecar(sidecar, format="tensorrt", needs=needs)
    names = [entry.name for entry in fields(EngineRecord)]
    values = {"platform": "", **document["engine"]}
    values = {name: values[name] for name in names}
    for name in ("compute_capabilities", "batches"):
        values[name] = tuple(values[name])
    check_belongs(path, document)
    return EngineRecord(**values), document


def check_fits(path: str | os.PathLike, record: EngineRecord, machine: Machine) -> None:
    """Checks that a machine can run an engine.

    Raises:
        UserError: If it cannot: which of platform, flavour, version, GPU or driver is
            wrong, and how to build an engine that fits.
    """
    installed = machine.versions.get(record.flavour)
    flavour = "" if installed is None else f"--flavour {record.flavour} "
    again = (
        "Export again on this machine: dynamonet export RUN --format tensorrt "
        f"{flavour}--precision {record.precision}"
    )
    # Engines of TensorRT-RTX run on Windows and on Linux.
    bound = record.flavour == "tensorrt" and bool(record.platform)
    if bound and record.platform != machine.platform:
        raise UserError(
            f"{path}: was built on {record.platform}, this is {machine.platform}. "
            f"{again}."
        )
    if installed is None:
        raise UserError(f"{path}: needs {record.flavour} {record.version}. {again}.")
    if installed != record.version:
        raise UserError(
            f"{path}: was built by {record.flavour} {record.version}, here is "
            f"{installed}. {again}."
        )
    if machine.compute_capability is None:
        raise UserError(f"{path}: needs an NVIDIA GPU: {machine.problem}.")
    if machine.compute_capability not in record.compute_capabilities:
        raise UserError(
            f"{path}: was built for compute capability "
            f"{', '.join(record.compute_capabilities)}, this GPU has "
            f"{machine.compute_capability}. {again}."
        )


def _compute_capability():
    """The GPU's capability, or `None` and the reason."""
    try:
        from cuda.bindings import runtime as cuda
    except ImportError:
        return None, 'CUDA\'s Python bindings are missing: pip install "cuda-bindings"'
    try:
        error, count = cuda.cudaGetDeviceCount()
    except RuntimeError as error:  # of older bindings, without a driver
        return None, first_line(str(error))
    if error != cuda.cudaError_t.cudaSuccess:
        return None, f"CUDA finds no usable driver ({error.name})"
    if not count:
        return None, "CUDA finds no device"
    attribute = cuda.cudaDeviceAttr
    numbers = []
    for name in ("Major", "Minor"):
        which = getattr(attribute, f"cudaDevAttrComputeCapability{name}")
        error, value = cuda.cudaDeviceGetAttribute(which, 0)
        if error != cuda.cudaError_t.cudaSuccess:
            return None, f"CUDA cannot query the device ({error.name})"
        numbers.append(str(value))
    return ".".join(numbers), ""
