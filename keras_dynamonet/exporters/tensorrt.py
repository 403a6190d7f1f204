"""TensorRT engines from ONNX models, for the GPU at hand or for others."""

import contextlib
import functools
import hashlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from keras_dynamonet.errors import UsageError, UserError, first_line
from keras_dynamonet.exporters import onnx as onnx_exporter
from keras_dynamonet.exporters.artefact import ExportResult, export_artefact
from keras_dynamonet.exporters.comparison import batch_sizes
from keras_dynamonet.exporters.formats import FORMATS
from keras_dynamonet.exporters.parity import ParityReport
from keras_dynamonet.exporters.parity_report import NOT_RUN
from keras_dynamonet.exporters.source import ExportSource
from keras_dynamonet.exporters.tensorrt_engine import (
    EngineRecord,
    Machine,
    check_fits,
    this_machine,
)
from keras_dynamonet.exporters.tensorrt_network import (
    NetworkInfo,
    TensorRT,
    describe_network,
    load_tensorrt,
    parse,
    with_float_biases,
)
from keras_dynamonet.files import atomic_path, temporary_folder

_MIB = 1 << 20
_MOST_MIB = 1 << 20  # a tebibyte, more than any GPU has
# TensorRT-RTX has neither float32 products nor float32 3D convolutions for Turing; the
# filters are solved in float32 whatever the precision of the backbone.
_WITHOUT_FLOAT32 = ("7.5",)


@dataclass(frozen=True)
class EngineSettings:
    """How to build an engine.

    Args:
        min_batch: Fewest clips in a batch.
        opt_batch: Clips in a batch for which it should be fastest.
        max_batch: Most clips in a batch.
        workspace_mib: Most scratch memory on the GPU, in MiB.
        compute_capabilities: GPUs to build for, e.g. `("8.6", "8.9")`; only
            TensorRT-RTX builds for others than the one at hand, which is the default.
        flavour: `"tensorrt"`, `"tensorrt_rtx"`, or `"auto"` for the first installed.
        timing_cache: File that keeps the timings of kernels between builds; only for
            `tensorrt` (TensorRT-RTX chooses kernels without timing them).

    Raises:
        UserError: If the batches are not in order or the workspace is impossible.

    Example:

    >>> EngineSettings(max_batch=16).batches
    (1, 1, 16)
    """

    min_batch: int = 1
    opt_batch: int = 1
    max_batch: int = 8
    workspace_mib: int = 4096
    compute_capabilities: tuple[str, ...] = ()
    flavour: str = "auto"
    timing_cache: str | os.PathLike | None = None

    def __post_init__(self):
        if not 1 <= self.min_batch <= self.opt_batch <= self.max_batch:
            raise UsageError(
                "Batches must be in the order 1 <= min <= opt <= max. "
                f"Received: {self.min_batch}, {self.opt_batch}, {self.max_batch}"
            )
        if not 1 <= self.workspace_mib <= _MOST_MIB:
            raise UserError(
                f"The workspace must be 1 to {_MOST_MIB} MiB. "
                f"Received: {self.workspace_mib}"
            )

    @property
    def batches(self) -> tuple[int, int, int]:
        """Smallest, best and largest batch."""
        return self.min_batch, self.opt_batch, self.max_batch


def export_tensorrt(
    source: ExportSource,
    target: str | os.PathLike,
    *,
    precision: str = "float32",
    overwrite: bool = False,
    on_report: Callable[[ParityReport], None] | None = None,
    **settings,
) -> ExportResult:
    """Exports a network as a TensorRT engine.

    With a GPU that the engine fits, the engine itself is run and compared with Keras.
    Without one, the ONNX model that it was built from is run in ONNX Runtime instead;
    the report and the sidecar name that runtime, so that nobody takes it for a proof of
    the engine.

    Args:
        source: The network and the clips.
        target: The `.engine` file to write. Its sidecar must stay beside it.
        precision: `"float32"`, `"float16"`, `"bfloat16"` or `"int8"` for the backbone;
            the rest is float32. bfloat16 needs a GPU to be compared on.
        overwrite: Whether `target` may exist.
        on_report: Gets the comparison before a failed one raises.
        **settings: Fields of :class:`EngineSettings`.

    Returns:
        The result.

    Raises:
        UserError: If an option is unknown or impossible here, the target exists,
            TensorRT refuses the network, or the artefact fails.
        MissingExtraError: If TensorRT or the extra `onnx` is not installed.
    """
    from keras_dynamonet.exporters.tensorrt_runner import TensorRTRunner

    check_options(precision=precision, **settings)
    settings = EngineSettings(**settings)
    tensorrt, machine = load_tensorrt(settings.flavour), this_machine()
    targets = _compute_capabilities(tensorrt, settings, machine)
    here = machine.compute_capability in targets
    state = {}

    def write(path):
        proto = onnx_exporter.convert(source, precision=precision)
        model = with_float_biases(proto).SerializeToString()
        engine, network = build_engine(model, settings)
        path.write_bytes(engine)
        state["model"] = model
        state["record"] = EngineRecord(
            tensorrt.flavour,
            tensorrt.version,
            targets,
            settings.batches,
            hashlib.sha256(model).hexdigest(),
            precision,
            machine.platform,
        )
        return {
            **onnx_exporter.describe_range(proto),
            "engine": state["record"].describe(),
            "network": network.describe(),
            "workspace_mib": settings.workspace_mib,
            "engine_has_run": here,
        }

    def load(path):
        if not here:
            return _onnx_runner(state["model"], machine)
        check_fits(path, state["record"], machine)
        runner = TensorRTRunner(path.read_bytes(), state["record"], tensorrt)
        return memory.enter_context(runner), runner.name

    with contextlib.ExitStack() as memory:
        return export_artefact(
            source,
            target,
            format="tensorrt",
            precision=precision,
            write=write,
            load=load,
            packages=("onnx", "onnxruntime", "tf2onnx"),
            batch_sizes=batch_sizes({"engine": {"batches": settings.batches}}),
            overwrite=overwrite,
            on_report=on_report,
        )


def check_options(*, precision: str = "float32", **settings) -> None:
    """Checks the options of :func:`export_tensorrt`.

    Raises:
        UserError: If one is unknown or impossible here.
        MissingExtraError: If TensorRT is not installed.
    """
    settings = EngineSettings(**settings)
    FORMATS["tensorrt"].check_precision(precision)
    _check_timing_cache(settings.timing_cache)
    tensorrt, machine = load_tensorrt(settings.flavour), this_machine()
    targets = _compute_capabilities(tensorrt, settings, machine)
    if precision == "bfloat16" and machine.compute_capability not in targets:
        raise UserError(
            "A bfloat16 engine can only be compared on a GPU that it is built for "
            f"({machine.problem or machine.compute_capability}). Choose float16."
        )


def build_engine(
    model: bytes, settings: EngineSettings | None = None
) -> tuple[bytes, NetworkInfo]:
    """Builds an engine from an ONNX model.

    Args:
        model: The ONNX file, all of its weights inside; its types decide the precision.
        settings: How to build.

    Returns:
        The engine and what TensorRT has understood of the model.

    Raises:
        UserError: If TensorRT refuses, or cannot build for the GPUs that are asked for.
        MissingExtraError: If TensorRT is not installed.
    """
    settings = settings or EngineSettings()
    tensorrt = load_tensorrt(settings.flavour)
    trt = tensorrt.module
    targets = _compute_capabilities(tensorrt, settings, this_machine())
    builder, network, (logger, _) = parse(tensorrt, model)
    config = builder.create_builder_config()
    # Ten bits of mantissa do not solve for filters. Whoever wants speed takes float16.
    config.clear_flag(trt.BuilderFlag.TF32)
    pool = trt.MemoryPoolType.WORKSPACE
    config.set_memory_pool_limit(pool, settings.workspace_mib * _MIB)
    if tensorrt.flavour == "tensorrt_rtx":
        config.num_compute_capabilities = len(targets)
        for index, target in enumerate(targets):
            member = getattr(trt.ComputeCapability, f"SM{target.replace('.', '')}")
            config.set_compute_capability(member, index)
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shape = tuple(tensor.shape)[1:]
        profile.set_shape(tensor.name, *((n, *shape) for n in settings.batches))
    config.add_optimization_profile(profile)
    cache = _read_timing_cache(config, settings.timing_cache)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        reason = first_line("".join(logger.errors[-1:]))
        raise UserError(f"{tensorrt.flavour} cannot build the engine: {reason}")
    if cache is not None:
        with atomic_path(settings.timing_cache) as path:
            path.write_bytes(bytes(cache.serialize()))
    shapes = {
        name: tuple(tuple(shape) for shape in profile.get_shape(name))
        for name in (network.get_input(i).name for i in range(network.num_inputs))
    }
    return bytes(engine), replace(describe_network(network), profile=shapes)


@functools.cache
def buildable_capabilities(tensorrt: TensorRT) -> tuple[str, ...]:
    """The GPUs that TensorRT-RTX builds our engines for, e.g. `("8.0", "8.6")`."""
    members = getattr(tensorrt.module, "ComputeCapability", None)
    numbers = [n[2:] for n in getattr(members, "__members__", {}) if n.startswith("SM")]
    names = (f"{n[:-1]}.{n[-1]}" for n in sorted(numbers, key=int))
    return tuple(name for name in names if name not in _WITHOUT_FLOAT32)


def _compute_capabilities(
    tensorrt: TensorRT, settings: EngineSettings, machine: Machine
) -> tuple[str, ...]:
    """The GPUs to build for.

    Raises:
        UserError: If that is impossible here.
    """
    here = machine.compute_capability
    asked = tuple(dict.fromkeys(settings.compute_capabilities))
    if settings.timing_cache is not None and tensorrt.flavour != "tensorrt":
        raise UserError(
            f"{tensorrt.flavour} has no timing cache: it chooses kernels without "
            "timing them. Leave the option out."
        )
    if tensorrt.flavour == "tensorrt":
        if here is None:
            raise UserError(
                f"tensorrt builds engines on their GPU only: {machine.problem}. Build "
                "there, or for an RTX GPU with tensorrt_rtx."
            )
        if asked not in ((), (here,)):
            raise UserError(
                f"tensorrt builds for the GPU at hand ({here}) only. "
                f"Received: {', '.join(asked)}"
            )
        return (here,)
    known = buildable_capabilities(tensorrt)
    asked = asked or ((here,) if here else ())
    if not asked:
        raise UserError(
            "There is no GPU here to build an engine for "
            f"({machine.problem}). Name --compute-capabilities, e.g. 8.9 (choose from "
            f"{', '.join(known)}), or leave tensorrt out of --format."
        )
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise UserError(
            "tensorrt_rtx cannot build for compute capability "
            f"{', '.join(unknown)}. Choose from: {', '.join(known)}."
        )
    return asked


def _check_timing_cache(path):
    """Tells before a build of minutes that its timings cannot be kept."""
    if path is None:
        return
    path = Path(path).absolute()
    # Written under another name beside it first.
    folder = next(place for place in path.parents if place.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(f"{path}: the timing cache cannot be written there.")


def _read_timing_cache(config, path):
    if path is None:
        return None
    path = Path(path)
    content = path.read_bytes() if path.is_file() else b""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        cache = config.create_timing_cache(content)
        # A cache of another GPU or version is left out, not an error.
        if not config.set_timing_cache(cache, False):
            cache = config.create_timing_cache(b"")
            config.set_timing_cache(cache, False)
    return cache


def _onnx_runner(model, machine):
    """The ONNX model itself, where the engine cannot run."""
    with temporary_folder() as folder:
        path = folder / "model.onnx"
        path.write_bytes(model)
        run, runtime = onnx_exporter.load_runner(path)
    capability = machine.compute_capability
    why = f"this GPU has {capability}" if capability else "no GPU"
    return run, f"{runtime} (the engine's ONNX model; {NOT_RUN}: {why})"
