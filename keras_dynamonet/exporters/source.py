"""What is exported: a network, and the clips that it is proved on."""

import functools
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.calibration import ExportClips, load_export_clips
from keras_dynamonet.exporters.folding import in_float32
from keras_dynamonet.exporters.signature import (
    CLASS_OUTPUTS,
    OUTPUTS,
    ExportSignature,
    check_outputs,
    make_reference,
    require_tensorflow_backend,
)
from keras_dynamonet.models.dynamonet import DynamoNet

if TYPE_CHECKING:
    from keras_dynamonet.training.trained_model import TrainedModel


@dataclass(frozen=True)
class ExportSource:
    """A network with clips, ready for every exporter.

    Args:
        model: The network as trained.
        clips: Clips to compare on and to calibrate with.
        outputs: Names of the outputs to export.
        name: Base of the artefacts' file names.
        path: The `.keras` file, if it comes from one.
        sha256: Hash of that file in hex.
        stride: Source frames from one clip frame to the next, where the network has no
            frame rate of its own.
        short_videos: What clips of videos that are too short are filled up with, see
            :class:`~keras_dynamonet.data.ClipSpec`.

    Example:

    >>> from keras_dynamonet.exporters.calibration import share_out
    >>> model = DynamoNet.from_preset("nano-16f", num_classes=4, size=32)
    >>> clips = np.random.default_rng(0).integers(0, 256, (2, 16, 32, 32, 3), "uint8")
    >>> source = ExportSource(model, share_out(clips), ("probabilities",))
    >>> source.expected["probabilities"].shape
    (2, 4)
    """

    model: DynamoNet
    clips: ExportClips
    outputs: tuple[str, ...] = OUTPUTS
    name: str = "model"
    path: Path | None = None
    sha256: str | None = None
    stride: int = 1
    short_videos: str = "loop"

    def __post_init__(self):
        require_tensorflow_backend()
        object.__setattr__(self, "outputs", check_outputs(self.outputs))

    @property
    def signature(self) -> ExportSignature:
        """What goes in and comes out."""
        return ExportSignature.of(self.model, self.outputs)

    @functools.cached_property
    def expected(self) -> dict[str, np.ndarray]:
        """The outputs of Keras in float32 on the clips to compare on."""
        return make_reference(in_float32(self.model), self.outputs)(self.clips.parity)


@dataclass(frozen=True)
class VideoSource:
    """Where videos come from, as for :func:`keras_dynamonet.data.load_manifest`.

    Args:
        data: A folder or a list of videos, or a `.npy` file of clips.
        layout: How to read it.
        video_root: Folder that the paths in a list start from.
    """

    data: str
    layout: str = "auto"
    video_root: str | None = None


def open_run(run: str | os.PathLike) -> "TrainedModel":
    """Loads a trained network for an export, which Keras computes on the CPU.

    Args:
        run: The folder of a run, a `.keras` file, or the name of a model that comes
            with the package.

    Raises:
        UserError: If there is none, or Keras does not run on TensorFlow.
    """
    from keras_dynamonet.training.trained_model import load_trained_model

    require_tensorflow_backend()
    _keep_to_the_cpu()
    return load_trained_model(run)


def _keep_to_the_cpu() -> None:
    """Hides GPUs from TensorFlow, before it begins.

    It would take all of their memory, which engines need, and round what artefacts are
    compared with to TensorFloat-32.
    """
    import tensorflow as tf

    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError:  # somebody has computed with them already
        tf.config.experimental.enable_tensor_float_32_execution(False)


def make_source(
    trained: "TrainedModel",
    videos: VideoSource | None = None,
    *,
    outputs: Sequence[str] | None = None,
    name: str = "model",
    precisions: Sequence[str] = ("int8",),
    num_parity: int | None = None,
    num_calibration: int | None = None,
) -> ExportSource:
    """Puts a trained network and clips for its proof together.

    Args:
        trained: From :func:`open_run`.
        videos: Where the clips come from. Default: the data of the run.
        outputs: Names of the outputs to export. Default: all that the network has; one
            that was trained on frames alone has no classes.
        name: Base of the artefacts' file names.
        precisions: Those of the artefacts, which say how many clips are read; the
            default is enough for all.
        num_parity: Clips to compare on, if not as many as the precisions ask for.
        num_calibration: Clips to calibrate INT8 with, the same.

    Raises:
        UserError: If an output is unknown or there are no clips.
    """
    outputs = _outputs_of(trained, outputs)
    videos = videos or videos_of_run(trained)
    clips = load_export_clips(
        videos.data,
        trained.spec,
        layout=videos.layout,
        video_root=videos.video_root,
        precisions=precisions,
        num_parity=num_parity,
        num_calibration=num_calibration,
    )
    return ExportSource(
        trained.model,
        clips,
        outputs,
        name,
        path=trained.path,
        sha256=file_sha256(trained.path),
        stride=trained.spec.stride,
        short_videos=trained.spec.short_videos,
    )


def _outputs_of(trained, outputs):
    known = OUTPUTS
    if trained.model.num_classes == 1:
        known = tuple(name for name in OUTPUTS if name not in CLASS_OUTPUTS)
    if outputs is None:
        return known
    outputs = check_outputs(outputs)
    if not set(outputs) <= set(known):
        raise UserError(
            f"{trained.path}: knows no classes, it was trained on frames alone. Choose "
            f"from --outputs {','.join(known)}."
        )
    return outputs


def videos_of_run(trained: "TrainedModel") -> VideoSource:
    """The videos that a run was trained and validated on, from its settings.

    Raises:
        UserError: If the network does not lie in the folder of a run.
    """
    from keras_dynamonet.training.settings import load_settings

    settings = load_settings(trained.run.config) if trained.run else {}
    if not settings.get("data"):
        raise UserError(
            f"{trained.path}: no clips to compare artefacts on and to calibrate with. "
            "Name videos with --data."
        )
    return VideoSource(
        settings["data"], settings.get("layout", "auto"), settings.get("video_root")
    )


def choose_videos(
    trained: "TrainedModel",
    data: str | None = None,
    layout: str | None = None,
    video_root: str | None = None,
) -> VideoSource:
    """The videos that a user names, or those of the run, found as the user says.

    Args:
        trained: From :func:`open_run`.
        data: Other videos than those of the run.
        layout: How to read them. Default: `"auto"`, or as the run did.
        video_root: Folder that the paths in a list start from, e.g. where the videos of
            the run lie now. Default: that of the list, or that of the run.

    Raises:
        UserError: If there is neither `data` nor the folder of a run.
    """
    videos = VideoSource(data) if data else videos_of_run(trained)
    given = {"layout": layout, "video_root": video_root}
    return replace(videos, **{name: value for name, value in given.items() if value})


def file_sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file in hex; of a folder, over its files in order of their names."""
    path = Path(path)
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*"))
    for file in files:
        if file.is_dir():
            continue
        if file != path:
            digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
