"""The formats of `dynamonet export`: a table, and what may be combined."""

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_dynamonet.errors import MissingExtraError, UsageError


@dataclass(frozen=True)
class Format:
    """A kind of artefact.

    Args:
        name: As on the command line.
        suffix: Of the file name; empty for a folder.
        precisions: What it comes in, the default first.
        module: Module of the exporter.
        function: Name of the exporter in it.
        options: Keyword arguments of its own.
        extra: What must be installed, a name of an extra, or `None`.
        packages: Import names, one group for each choice: all of some group must exist.
    """

    name: str
    suffix: str
    precisions: tuple[str, ...]
    module: str
    function: str
    options: tuple[str, ...] = ()
    extra: str | None = None
    packages: tuple[tuple[str, ...], ...] = ((),)

    def file_name(self, base: str, precision: str) -> str:
        """`model.onnx`, `model.int8.onnx`, `model` for a SavedModel's folder."""
        kind = "" if precision == self.precisions[0] else f".{precision}"
        return f"{base}{kind}{self.suffix}"

    def exporter(self) -> Callable:
        """The function that writes the artefact.

        Raises:
            MissingExtraError: If its extra is not installed.
        """
        if not any(all(map(_is_installed, group)) for group in self.packages):
            raise MissingExtraError(f"--format {self.name}", self.extra)
        return getattr(importlib.import_module(self.module), self.function)

    def check_precision(self, precision: str) -> None:
        """Checks that the format comes in a precision.

        Raises:
            UsageError: If it does not.
        """
        if precision in self.precisions:
            return
        others = [e.name for e in FORMATS.values() if precision in e.precisions]
        if not others:
            known = {name for entry in FORMATS.values() for name in entry.precisions}
            raise UsageError(
                f"There is no precision {precision!r}. "
                f"Choose from: {', '.join(sorted(known))}."
            )
        raise UsageError(
            f"{self.name} comes in {', '.join(self.precisions)}, not in {precision}. "
            f"For {precision} use: {', '.join(others)}."
        )

    def check(self, precision: str, options: Mapping[str, Any]) -> None:
        """Checks what can be checked before any work is done.

        Args:
            precision: One of `precisions`.
            options: Options by name; those of other formats are left out.

        Raises:
            MissingExtraError: If its extra is not installed.
            UserError: If an option is impossible here.
        """
        self.exporter()
        if self.options:
            module = importlib.import_module(self.module)
            module.check_options(precision=precision, **self.own(options))

    def own(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the options that belong to this format."""
        return {name: options[name] for name in self.options if name in options}


FORMATS = {
    entry.name: entry
    for entry in (
        Format(
            "saved_model",
            "",
            ("float32",),
            "keras_dynamonet.exporters.saved_model",
            "export_saved_model",
        ),
        Format(
            "onnx",
            ".onnx",
            ("float32", "float16", "int8"),
            "keras_dynamonet.exporters.onnx",
            "export_onnx",
            options=("opset",),
            extra="onnx",
            packages=(("onnx", "onnxruntime", "tf2onnx"),),
        ),
        Format(
            "tflite",
            ".tflite",
            ("float32", "float16", "dynamic_range", "int8"),
            "keras_dynamonet.exporters.tflite",
            "export_tflite",
            options=("batch",),
            extra="tflite",
            packages=(("ai_edge_litert",),),
        ),
        Format(
            "tensorrt",
            ".engine",
            ("float32", "float16", "bfloat16", "int8"),
            "keras_dynamonet.exporters.tensorrt",
            "export_tensorrt",
            options=(
                *("min_batch", "opt_batch", "max_batch", "workspace_mib"),
                *("compute_capabilities", "flavour", "timing_cache"),
            ),
            extra="onnx,tensorrt-rtx",
            packages=(
                ("onnx", "onnxruntime", "tf2onnx", "tensorrt"),
                ("onnx", "onnxruntime", "tf2onnx", "tensorrt_rtx"),
                ("onnx", "onnxruntime", "tf2onnx", "tensorrt_rtx_bindings"),
            ),
        ),
    )
}


def plan(
    formats: Iterable[str], precisions: Iterable[str], options: Sequence[str] = ()
) -> list[tuple[Format, str]]:
    """What to export: every format in every precision.

    Args:
        formats: Names of formats.
        precisions: Names of precisions.
        options: Names of the options that were given.

    Raises:
        UsageError: If a name is unknown, a format does not come in a precision, or an
            option belongs to none of the formats.

    Example:

    >>> [(entry.name, precision) for entry, precision in plan(["onnx"], ["int8"])]
    [('onnx', 'int8')]
    """
    formats, precisions = list(dict.fromkeys(formats)), list(dict.fromkeys(precisions))
    if not formats or not precisions:
        raise UsageError("Name at least one format and one precision.")
    for name in formats:
        if name not in FORMATS:
            raise UsageError(
                f"There is no format {name!r}. Choose from: {', '.join(FORMATS)}."
            )
    jobs = [(FORMATS[name], precision) for name in formats for precision in precisions]
    for entry, precision in jobs:
        entry.check_precision(precision)
    for option in options:
        takers = [entry.name for entry in FORMATS.values() if option in entry.options]
        if not set(takers) & set(formats):
            raise UsageError(
                f"--{option.replace('_', '-')} is for {' and '.join(takers)} only."
            )
    return jobs


def target_paths(
    folder: Path, base: str, jobs: Iterable[tuple[Format, str]]
) -> list[Path]:
    """Where the artefacts go.

    Example:

    >>> target_paths(Path("out"), "model", plan(["onnx"], ["int8"]))[0].name
    'model.int8.onnx'
    """
    return [folder / entry.file_name(base, precision) for entry, precision in jobs]


def _is_installed(package):
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False
