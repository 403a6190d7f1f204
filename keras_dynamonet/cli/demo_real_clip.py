"""Shows `dynamonet predict` on a real video, with what it prints."""

import contextlib
import io
import shlex
import shutil
from pathlib import Path

import numpy as np

from keras_dynamonet.cli.demo_settings import REAL_CLIP
from keras_dynamonet.cli.prediction_output import classes_json, show_videos
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.mocap.backdrops import backdrop_videos
from keras_dynamonet.data.pipeline import evaluation_dataset
from keras_dynamonet.files import atomic_path
from keras_dynamonet.reports.exhibits import CommandShown, Example, Loop
from keras_dynamonet.training.prediction import predict_videos
from keras_dynamonet.training.probabilities import top_classes
from keras_dynamonet.training.trained_model import TrainedModel

INTRO = (
    "The command that names the action in any video, here on a real one: a street with "
    "cyclists. It shows none of the actions that the model has learnt, and the model "
    "knows no “none of these”, so whatever it answers is a guess. The point is how to "
    "ask; train on videos of your own to get answers."
)


def show_real_clip(trained: TrainedModel, folder: Path) -> CommandShown:
    """Copies a real video into `folder`, predicts on it, and keeps what was said.

    Args:
        trained: The model; `dynamonet predict` finds it in `folder`.
        folder: Of the demo.
    """
    [source] = [path for path in backdrop_videos() if path.name == REAL_CLIP]
    video = folder / REAL_CLIP
    with atomic_path(video) as temporary:
        shutil.copyfile(source, temporary)
    [prediction] = predict_videos(trained, [video])
    names, probabilities = trained.class_names, prediction.probabilities
    document = {
        "path": str(video),
        "top": classes_json(top_classes(probabilities, names)),
    }
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        show_videos([document])
    manifest = Manifest(folder, (REAL_CLIP,), np.array([-1]))
    [(clips, *_)] = evaluation_dataset(manifest, trained.spec, batch_size=1)
    return CommandShown(
        INTRO,
        command=shlex.join(["dynamonet", "predict", str(folder), str(video)]),
        output=printed.getvalue().rstrip(),
        example=Example(
            Loop(
                f"{REAL_CLIP}, as the model sees it", clips.numpy()[0], trained.spec.fps
            ),
            names,
            probabilities,
        ),
    )
