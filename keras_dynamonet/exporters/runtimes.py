"""What runs a network: a table of runtimes, and one way to load into each of them."""

import contextlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_dynamonet.errors import UserError, first_line
from keras_dynamonet.trained_models import shipped_models

WITHOUT_XNNPACK = "without XNNPACK"
"""How the name of a runtime ends in which LiteRT left all to its plain kernels."""


@dataclass(frozen=True)
class Loaded:
    """A network in its runtime.

    Args:
        run: From a batch of clips to outputs by name, arrays in the memory of the host.
        shape: Of a batch; `None` for sizes that are free.
        dtype: Of the clips.
        runtime: Name and version of what computes.
        measure: Times batches by a better clock than the host's; takes the keyword
            arguments of :func:`keras_dynamonet.exporters.timing.measure`.
    """

    run: Callable[[np.ndarray], Mapping[str, np.ndarray]]
    shape: tuple[int | None, ...]
    dtype: str
    runtime: str
    measure: Callable | None = None

    def random_clips(self, batch: int) -> np.ndarray:
        """A batch of noise in [0, 255].

        Raises:
            UserError: If the network takes batches of another size only.
        """
        fixed, *sizes = self.shape
        if fixed not in (None, batch):
            raise UserError(
                f"takes batches of {fixed} only, not of {batch}. Give --batch {fixed}"
            )
        if None in sizes:
            raise UserError(f"has an input of no fixed size: {self.shape}")
        clips = np.random.default_rng(0).integers(0, 256, (batch, *sizes), "uint8")
        return clips.astype(self.dtype)


@dataclass(frozen=True)
class Runtime:
    """A way to run one kind of network.

    Args:
        name: As on the command line.
        kind: What it runs, see :func:`kind_of`.
        load: From a path (or name of a preset) and a number of CPU threads.
        package: Import name of what must be installed, or `None` if loading says what
            is missing.
    """

    name: str
    kind: str
    load: Callable[[str, int], Loaded]
    package: str | None = None

    @property
    def is_installed(self) -> bool:
        """Whether its package can be imported."""
        package = self.package
        return package is None or importlib.util.find_spec(package) is not None


def kind_of(target: str) -> str:
    """What a path or name stands for.

    Args:
        target: A `.keras` file, the folder of a run, a preset, a SavedModel folder, or
            an `.onnx`, `.tflite` or `.engine` file.

    Returns:
        `"keras"`, `"saved_model"`, `"onnx"`, `"tflite"` or `"engine"`.

    Raises:
        UserError: If it is none of these.

    Example:

    >>> kind_of("nano-16f")
    'keras'
    """
    path = Path(target)
    if path.is_dir():
        if (path / "saved_model.pb").exists():
            return "saved_model"
        return "keras"
    suffix = path.suffix.removeprefix(".")
    if suffix in {runtime.kind for runtime in RUNTIMES.values()}:
        if not path.exists():
            raise UserError(f"{target}: no such file.")
        return suffix
    from keras_dynamonet.models.presets import PRESETS

    names = [*shipped_models(), *PRESETS]
    if target in names:
        return "keras"
    found = "a file of no such kind" if path.exists() else "nothing of that name"
    raise UserError(
        f"{target}: {found}. Give a .keras file, the "
        "folder of a run, a SavedModel folder, an .onnx, .tflite or .engine file, or a "
        f"model or preset by name: {', '.join(names)}."
    )


def runtimes_for(target: str, names: tuple[str, ...] | None = None) -> list[Runtime]:
    """The installed runtimes that can run a target.

    Args:
        target: As for :func:`kind_of`.
        names: Only these; default: all that are installed.

    Raises:
        UserError: If there is none, or one of `names` is unknown or not installed.
    """
    for name in names or ():
        if name not in RUNTIMES:
            raise UserError(
                f"There is no runtime {name!r}. Choose from: {', '.join(RUNTIMES)}."
            )
    kind = kind_of(target)
    able = [runtime for runtime in RUNTIMES.values() if runtime.kind == kind]
    chosen = [runtime for runtime in able if not names or runtime.name in names]
    if not chosen:
        able_names = " or ".join(runtime.name for runtime in able)
        raise UserError(f"{target}: is run by {able_names}, not {', '.join(names)}.")
    installed = [runtime for runtime in chosen if runtime.is_installed]
    missing = [runtime.package for runtime in chosen if not runtime.is_installed]
    if missing and (names or not installed):
        packages = " or ".join(dict.fromkeys(missing))
        raise UserError(f"{target}: needs {packages}, which is not installed.")
    return installed


def load(runtime: str, target: str, threads: int) -> Loaded:
    """Loads a network; meant for a process that runs no other.

    Args:
        runtime: Name of a runtime.
        target: A path or the name of a preset.
        threads: CPU threads.

    Raises:
        UserError: If the runtime refuses it.
    """
    _pin(threads)
    return RUNTIMES[runtime].load(target, threads)


def _pin(threads):
    """Keeps every pool of threads, also those that cannot be asked to, on few CPUs."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _keras_model(target, threads):
    _limit_keras(threads)
    from keras_dynamonet.models.dynamonet import DynamoNet
    from keras_dynamonet.models.presets import PRESETS
    from keras_dynamonet.training.trained_model import load_trained_model

    if Path(target).exists() or target not in PRESETS:
        return load_trained_model(target).model
    return DynamoNet.from_preset(target, num_classes=400)


def _keras_predict(target, threads):
    model = _keras_model(target, threads)

    def run(clips):
        return model.predict(clips, batch_size=len(clips), verbose=0)

    return _loaded_keras(model, run)


def _keras_function(target, threads):
    model = _keras_model(target, threads)
    return _loaded_keras(model, model.predict_on_batch)


def _loaded_keras(model, run):
    import keras

    backend = keras.backend.backend()
    runtime = f"keras {keras.__version__} on {backend} {_version(backend)}"
    shape = (None, model.num_frames, *model.frame_size, 3)
    return Loaded(run, shape, "uint8", runtime)


def _limit_keras(threads):
    # JAX can only be limited from outside, as `_pin` does.
    import keras

    if keras.backend.backend() == "tensorflow":
        limit_tensorflow(threads)
    elif keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(threads)


def limit_tensorflow(threads: int):
    """Sets the threads of TensorFlow, 0 for one a core, before it computes anything.

    Returns:
        The package.
    """
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    return tf


def _saved_model(target, threads):
    tf = limit_tensorflow(threads)
    module = tf.saved_model.load(target)  # must outlive its signatures
    serve = module.signatures["serving_default"]
    ((name, spec),) = serve.structured_input_signature[1].items()

    def run(clips, _module=module):
        outputs = serve(**{name: tf.constant(clips)})
        return {key: value.numpy() for key, value in outputs.items()}

    runtime = f"tensorflow {tf.__version__}"
    return Loaded(run, tuple(spec.shape), spec.dtype.name, runtime)


def load_onnxruntime(target: str, threads: int = 0) -> Loaded:
    """Loads an ONNX file into ONNX Runtime on the CPU.

    Args:
        target: The file.
        threads: CPU threads; 0 for one for each core.

    Raises:
        UserError: If ONNX Runtime refuses the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(
            target, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # a class for each status, without a common one
        reason = first_line(str(error))
        raise UserError(f"{target}: ONNX Runtime cannot load it: {reason}") from error
    (entry,) = session.get_inputs()
    names = [output.name for output in session.get_outputs()]

    def run(clips):
        try:
            values = session.run(names, {entry.name: clips})
        except Exception as error:
            reason = first_line(str(error))
            raise UserError(
                f"{target}: ONNX Runtime cannot run it: {reason}"
            ) from error
        return dict(zip(names, values, strict=True))

    shape = tuple(size if isinstance(size, int) else None for size in entry.shape)
    dtype = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}[entry.type]
    return Loaded(run, shape, dtype, f"onnxruntime {onnxruntime.__version__}")


def _openvino(target, threads):
    import openvino

    compiled = openvino.Core().compile_model(
        target,
        "CPU",
        {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            # On some CPUs it would compute in bfloat16 unasked.
            "INFERENCE_PRECISION_HINT": "f32",
        },
    )
    shape = tuple(
        None if size.is_dynamic else size.get_length()
        for size in compiled.inputs[0].partial_shape
    )
    dtype = np.dtype(compiled.inputs[0].element_type.to_dtype()).name

    def run(clips):
        outputs = compiled(clips)
        return {port.any_name: outputs[port] for port in compiled.outputs}

    version = _version("openvino")
    return Loaded(run, shape, dtype, f"openvino {version}")


def load_litert(target: str, threads: int) -> Loaded:
    """Loads a TFLite file into LiteRT, which hands what it can to XNNPACK.

    Args:
        target: The file.
        threads: CPU threads.

    Raises:
        UserError: If LiteRT refuses the file.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(target, num_threads=threads)
        interpreter.allocate_tensors()
        signature = interpreter.get_signature_runner()
    except (RuntimeError, ValueError) as error:
        reason = first_line(str(error))
        raise UserError(f"{target}: LiteRT cannot load it: {reason}") from error
    ((name, entry),) = signature.get_input_details().items()

    def run(clips):
        try:
            return signature(**{name: clips})
        except (RuntimeError, ValueError) as error:
            reason = first_line(str(error))
            raise UserError(f"{target}: LiteRT cannot run it: {reason}") from error

    shape = tuple(None if size < 0 else int(size) for size in entry["shape_signature"])
    # LiteRT falls back to its plain kernels without a word.
    delegated = any(
        operator["op_name"] == "DELEGATE" for operator in interpreter._get_ops_details()
    )
    kernels = "with XNNPACK" if delegated else WITHOUT_XNNPACK
    runtime = f"ai-edge-litert {_version('ai-edge-litert')} {kernels}"
    return Loaded(run, shape, np.dtype(entry["dtype"]).name, runtime)


def _tensorrt(target, threads):
    from keras_dynamonet.exporters.tensorrt_runner import open_engine

    runner = open_engine(target)
    shape, runtime = runner.clip_shape, runner.name
    return Loaded(runner, shape, "uint8", runtime, measure=runner.measure)


def _version(package):
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return importlib.import_module(package).__version__


RUNTIMES = {
    entry.name: entry
    for entry in (
        Runtime("keras-predict", "keras", _keras_predict, "keras"),
        Runtime("keras-function", "keras", _keras_function, "keras"),
        Runtime("tensorflow", "saved_model", _saved_model, "tensorflow"),
        Runtime("onnxruntime", "onnx", load_onnxruntime, "onnxruntime"),
        Runtime("openvino", "onnx", _openvino, "openvino"),
        Runtime("litert", "tflite", load_litert, "ai_edge_litert"),
        Runtime("tensorrt", "engine", _tensorrt),
    )
}
"""`keras-predict` is `model.predict`, `keras-function` the compiled function alone."""
