"""A trained model together with the clips it expects."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.data.file_checks import file_size
from keras_dynamonet.data.places import absolute_path, is_remote
from keras_dynamonet.errors import UserError
from keras_dynamonet.models.dynamonet import DynamoNet
from keras_dynamonet.models.loading import load_model
from keras_dynamonet.models.resnext3d import ResNeXt3D
from keras_dynamonet.trained_models import shipped_models
from keras_dynamonet.training.run_directory import RunDirectory
from keras_dynamonet.training.settings import load_settings


@dataclass(frozen=True)
class TrainedModel:
    """A model that is ready to be evaluated or to predict.

    Args:
        model: The model, not compiled.
        spec: The clips that it was trained on.
        path: The `.keras` file.
        run: The folder of its run, or `None` for a file of its own.
    """

    model: DynamoNet
    spec: ClipSpec
    path: Path
    run: RunDirectory | None

    @property
    def shipped(self) -> bool:
        """Whether it comes with the package, where nothing may be written beside it."""
        return self.path in shipped_models().values()

    @property
    def class_names(self) -> list[str]:
        """Names of the classes.

        Raises:
            UserError: If the model was trained on frames alone.
        """
        if not self.model.class_names:
            raise UserError(
                f"{self.path}: was trained on frames alone and knows no actions. "
                "Train a classifier from it: dynamonet train DATA --init "
                f"{self.run.path if self.run else self.path}"
            )
        return list(self.model.class_names)

    def was_trained_on(self, paths: Sequence[str]) -> np.ndarray | None:
        """Which videos it was trained on.

        Args:
            paths: Of videos.

        Returns:
            One truth value for each, or `None` where that is not known.
        """
        known = self.run and self.run.trained_on()
        if known is None:
            return None
        found = np.array([absolute_path(path) in known for path in paths], bool)
        # Where the training videos have moved, these may be the same under new names.
        sure = found.any() or any(map(_is_there, itertools.islice(known, 3)))
        return found if sure else None


def _is_there(path: str) -> bool:
    return is_remote(path) or file_size(path) >= 0


def load_trained_model(
    path: str | Path, *, fps: float | None = None, stride: int | None = None
) -> TrainedModel:
    """Loads the best model of a run, or a `.keras` file.

    Args:
        path: The folder of a run, a `.keras` file, or the name of a model that comes
            with the package. A file inside a run's folder is read with the settings of
            that run. An imported classifier becomes a DynamoNet with the same logits.
        fps: Frames a second of the clips. Default: as in training.
        stride: Source frames from one clip frame to the next, instead of `fps`.

    Raises:
        UserError: If there is no model, it cannot be read, or is no DynamoNet.
    """
    file = model_file(path)
    model = load_model(file, compile=False)
    if isinstance(model, ResNeXt3D):
        model = _around(model)
    if not isinstance(model, DynamoNet):
        raise UserError(f"{file}: holds a {type(model).__name__}, not a DynamoNet.")
    run = RunDirectory(file.parent)
    if not run.holds_run():
        run = None
    settings = load_settings(run.config) if run else {}
    height, width = model.frame_size
    if height != width:
        raise UserError(f"{file}: frames must be square, but are {height}x{width}.")
    if stride is None and fps is None:
        # Of a run whose model was saved without it, the settings know the stride.
        fps, stride = model.fps, settings.get("stride") or model.stride
    try:
        spec = ClipSpec(
            num_frames=model.num_frames,
            size=height,
            fps=fps,
            stride=stride or 1,
            short_videos=settings.get("short_videos", "loop"),
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    return TrainedModel(model, spec, file, run)


def model_file(path: str | Path) -> Path:
    """The `.keras` file that a folder, a name or the file itself stands for.

    Args:
        path: The folder of a run, a `.keras` file, or the name of a model that comes
            with the package. A run of that name comes first.

    Raises:
        UserError: If a folder holds no trained model, or there is no such file.
    """
    path, shipped = Path(path), shipped_models()
    file = RunDirectory(path).best if path.is_dir() else path
    if file.exists():
        return file
    # A folder that is only called so, e.g. of what the model said, hides none.
    if str(path) in shipped:
        return shipped[str(path)]
    if path.is_dir():
        raise UserError(
            f"{path}: holds no trained model (no best.keras). Name the folder of a "
            "run that has finished an epoch, or a .keras file."
        )
    raise UserError(
        f"{path}: no such run's folder or .keras file, nor a model that comes with "
        f"the package ({', '.join(shipped)})."
    )


def _around(classifier: ResNeXt3D) -> DynamoNet:
    """A DynamoNet around an imported network, its classes numbered if without names."""
    if classifier.num_classes is None:
        return DynamoNet.from_backbone(classifier, num_classes=1)
    numbered = [f"class_{index}" for index in range(classifier.num_classes)]
    names = classifier.class_names or numbered
    return DynamoNet.from_backbone(classifier, class_names=names)
