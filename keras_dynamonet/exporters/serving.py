"""All that TensorFlow Serving needs beside the model: configuration, compose file.

```
DIR/
  docker-compose.yml       docker compose up
  config/models.config     which models, where
  config/batching.config   how requests are put together
  config/monitoring.config Prometheus at /monitoring/prometheus/metrics
  models/NAME/1/           the SavedModel, version 1
  models/NAME/1.json       its sidecar, for clients
```
"""

import contextlib
import importlib.util
import os
import re
from collections.abc import Callable
from pathlib import Path

from keras_dynamonet.errors import MissingExtraError, UsageError, UserError, first_line
from keras_dynamonet.exporters.artefact import (
    ExportResult,
    refuse_existing,
    refuse_other_content,
)
from keras_dynamonet.exporters.parity import ParityReport
from keras_dynamonet.exporters.saved_model import export_saved_model
from keras_dynamonet.exporters.sidecar import sidecar_path
from keras_dynamonet.exporters.source import ExportSource
from keras_dynamonet.files import atomic_path

GRPC_PORT = 8500
REST_PORT = 8501
IMAGE = "tensorflow/serving"

MAX_BATCH_SIZE = 8
"""The most clips that the server takes in a request."""

# A video network computes for long: more clips at a time gain little, waiting costs.
_BATCHING = f"""\
max_batch_size {{ value: {MAX_BATCH_SIZE} }}
allowed_batch_sizes: 1
allowed_batch_sizes: 2
allowed_batch_sizes: 4
allowed_batch_sizes: {MAX_BATCH_SIZE}
batch_timeout_micros {{ value: 2000 }}
max_enqueued_batches {{ value: 64 }}
num_batch_threads {{ value: 2 }}
pad_variable_length_inputs: false
"""

_MONITORING = """\
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""

_COMPOSE = """\
# docker compose up; then: dynamonet serve-client {sidecar} VIDEO
services:
  {name}:
    # The server of the TensorFlow that wrote the graph: an older one may lack its
    # operators, a newer one is untried. Another: TF_SERVING_TAG=... docker compose up
    image: {image}:${{TF_SERVING_TAG:-{tag}}}
    ports:
      - "{grpc}:{grpc}"  # gRPC
      - "{rest}:{rest}"  # REST and metrics
    volumes:
      - ./models:/models:ro
      - ./config:/config:ro
    command:
      - --port={grpc}
      - --rest_api_port={rest}
      - --model_config_file=/config/models.config
      - --model_config_file_poll_wait_seconds=30
      - --enable_batching=true
      - --batching_parameters_file=/config/batching.config
      - --monitoring_config_file=/config/monitoring.config
    restart: unless-stopped
"""


MODELS_CONFIG = "config/models.config"


def export_serving(
    source: ExportSource,
    folder: str | os.PathLike,
    *,
    name: str = "dynamonet",
    version: int | None = None,
    overwrite: bool = False,
    on_report: Callable[[ParityReport], None] | None = None,
) -> ExportResult:
    """Adds a version of a model to a folder that TensorFlow Serving can serve.

    Other models and versions in the folder stay, and so do settings that are there
    already; the server takes up a new version by itself.

    Args:
        source: The network and the clips.
        folder: The folder of the server, new or with earlier versions.
        name: Name of the model in requests.
        version: Number of the version. Default: one more than the last.
        overwrite: Whether the version may exist.
        on_report: Gets the comparison before a failed one raises.

    Returns:
        The result of the SavedModel.

    Raises:
        UserError: If the name or version cannot be, the version exists, or the model
            fails.
        MissingExtraError: If the extra `serving` is not installed.
    """
    require_serving()
    folder = Path(folder)
    target = version_path(folder, name, version)
    check_version(target, overwrite=overwrite)
    sidecar = sidecar_path(target).relative_to(folder).as_posix()
    files = {
        "config/batching.config": _BATCHING,
        "config/monitoring.config": _MONITORING,
        "docker-compose.yml": _COMPOSE.format(
            name=name,
            image=IMAGE,
            tag=_default_tag(),
            grpc=GRPC_PORT,
            rest=REST_PORT,
            sidecar=sidecar,
        ),
    }
    # What is there already may have been tuned.
    files = {path: text for path, text in files.items() if not (folder / path).exists()}
    files[MODELS_CONFIG] = models_config(folder, name)
    with contextlib.ExitStack() as written:
        # On the disk before any work, so that no version is served that the settings
        # do not tell of; under their names only once there is a version.
        for path, text in files.items():
            _write_ahead(folder / path, text, written)
        return export_saved_model(
            source, target, overwrite=overwrite, on_report=on_report
        )


def check_version(target: Path, *, overwrite: bool) -> None:
    """Checks that a version of a model may be written.

    Args:
        target: From :func:`version_path`.
        overwrite: Whether it may exist.

    Raises:
        UserError: If it or its sidecar exists already and `overwrite` is false, or
            something else than a SavedModel is in its place.
    """
    refuse_other_content(target, folder=True, other="--model-version")
    other = "--model-version or --serving DIR"
    refuse_existing(target, overwrite=overwrite, other=other)


def version_path(folder: Path, name: str, version: int | None = None) -> Path:
    """Where a version of a model lies, by default the next one.

    Raises:
        UsageError: If the name cannot be part of an address, or the version is not
            positive.

    Example:

    >>> version_path(Path("serving"), "actions", 3).as_posix()
    'serving/models/actions/3'
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise UsageError(
            f"The model cannot be served as {name!r}: use letters, digits, - and _."
        )
    if version is None:
        version = max(_versions(folder / "models" / name), default=0) + 1
    if version < 1:
        raise UsageError(f"A version must be at least 1. Received: {version}")
    return folder / "models" / name / str(version)


def models_config(folder: Path, name: str) -> str:
    """The server's list of the models in a folder and one more, as a text message.

    What an earlier list says of models, e.g. a version policy, stays.

    Raises:
        UserError: If the earlier list cannot be read.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    path = folder / MODELS_CONFIG
    try:
        if path.exists():
            text_format.Parse(path.read_text(encoding="utf-8"), config)
    except (OSError, ValueError, text_format.ParseError) as error:
        reason = first_line(str(error))
        raise UserError(f"{path}: is no list of models: {reason}.") from error
    models = config.model_config_list.config
    found = {path.name for path in (folder / "models").glob("*") if _versions(path)}
    for missing in sorted((found | {name}) - {model.name for model in models}):
        models.add(
            name=missing, base_path=f"/models/{missing}", model_platform="tensorflow"
        )
    return text_format.MessageToString(config)


def require_serving() -> None:
    """Checks that the extra `serving` is installed.

    Raises:
        MissingExtraError: If it is not.
    """
    if importlib.util.find_spec("tensorflow_serving") is None:
        raise MissingExtraError("TensorFlow Serving", "serving")


def _default_tag():
    """Of the server's image: `2.21.0` for TensorFlow 2.21.1 and its release candidates.

    Not every patch of TensorFlow has a server of its own.
    """
    import tensorflow as tf

    major, minor, *_ = tf.__version__.split(".")
    return f"{major}.{minor}.0"


def _write_ahead(path, text, files):
    """Writes a file that gets its name when `files` is closed without an error."""
    try:
        temporary = files.enter_context(atomic_path(path))
        temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}.") from error


def _versions(folder):
    """Numbers of the versions of one model."""
    if not folder.is_dir():
        return []
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    return [int(name) for name in names if name.isdigit()]
