"""Trained models that come with the package, to try at once.

Each is a `.keras` file with its card, a `.md` file of the same name.
"""

from pathlib import Path


def shipped_models() -> dict[str, Path]:
    """The files of the trained models by name.

    Wherever a program takes the folder of a run it takes such a name, too.

    Example:

    >>> list(shipped_models())
    ['mocap25-nano']
    >>> from keras_dynamonet.training.trained_model import load_trained_model
    >>> load_trained_model("mocap25-nano").class_names[:3]
    ['backflip', 'backflip_reversed', 'cartwheel']
    """
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.keras"))}
