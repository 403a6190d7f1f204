"""The backends of Keras that the networks run on."""

import importlib.util

from keras_dynamonet.errors import MissingExtraError, UserError

BACKENDS = ("tensorflow", "jax", "torch")


def refuse_unusable_backend(name: str) -> None:
    """Checks that the networks run on a backend of Keras.

    Args:
        name: As in `KERAS_BACKEND`.

    Raises:
        MissingExtraError: It is not installed.
        UserError: It is another than the three that can train.

    Example:

    >>> refuse_unusable_backend("tensorflow")
    >>> refuse_unusable_backend("numpy")
    Traceback (most recent call last):
    keras_dynamonet.errors.UserError: Keras is set to run on numpy, \
but the networks run on tensorflow, jax and torch: set KERAS_BACKEND to one of them.
    """
    if name not in BACKENDS:
        raise UserError(
            f"Keras is set to run on {name}, but the networks run on "
            f"{', '.join(BACKENDS[:-1])} and {BACKENDS[-1]}: set KERAS_BACKEND to one "
            "of them."
        )
    if name != "tensorflow" and importlib.util.find_spec(name) is None:
        raise MissingExtraError(f"KERAS_BACKEND={name}", name)
