"""How published networks want their pixels: nothing in a checkpoint says so."""

from dataclasses import dataclass

from keras_dynamonet.errors import UserError
from keras_dynamonet.layers.pixel_normalization import KINETICS_MEAN, KINETICS_STD
from keras_dynamonet.weights.checkpoint import Checkpoint


@dataclass(frozen=True)
class PixelConvention:
    """Mean and deviation of each colour, of pixels in [0, 1].

    Args:
        mean: Subtracted.
        std: Divided by.
        wants: The convention in words.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    wants: str


PIXELS = {
    # Of the branch CVPR2018 of 3D-ResNets-PyTorch: pixels stay in [0, 255].
    "minus-mean": PixelConvention(
        (114.7748 / 255, 107.7354 / 255, 99.4750 / 255),
        (1 / 255,) * 3,
        "0 to 255 minus the mean (3D-ResNets, 2018)",
    ),
    # Of its later code.
    "kinetics": PixelConvention(
        KINETICS_MEAN, KINETICS_STD, "0 to 1, mean and deviation (3D-ResNets, 2020)"
    ),
    "torchvision": PixelConvention(
        (0.43216, 0.394666, 0.37645),
        (0.22803, 0.22145, 0.216989),
        "0 to 1, mean and deviation (torchvision)",
    ),
}


def choose_pixels(name: str, checkpoint: Checkpoint, naming: str) -> tuple[str, str]:
    """The convention to build into the network.

    Args:
        name: A key of `PIXELS`, or `"auto"` to tell from the file: the 3D-ResNets of
            2018 were saved with the prefix `module.`, the later ones without it or with
            a learning rate scheduler beside them.
        checkpoint: The file.
        naming: Whose names the tensors have.

    Returns:
        The key of `PIXELS`, and why.

    Raises:
        UserError: If there is no convention of that name.
    """
    if name in PIXELS:
        return name, "as asked for"
    if name != "auto":
        known = ", ".join(["auto", *PIXELS])
        raise UserError(f"`--pixels {name}` is unknown. Known: {known}.")
    if naming == "torchvision":
        return "torchvision", "by the names of its tensors"
    if "scheduler" in checkpoint.beside:
        return "kinetics", "by the scheduler beside the weights"
    if checkpoint.prefix:
        return "minus-mean", f"by the prefix {checkpoint.prefix!r}"
    return "kinetics", "by the missing prefix 'module.'"
