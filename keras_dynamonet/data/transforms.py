"""Augmentation and cropping of clips: drawn once a clip, applied to every frame.

The multi-scale corner crop takes a square of `scale` times the short side. Instead of
cropping and resizing, the frames are scaled so that the square has the wanted size
(`short_side = size / scale`); the decoder does that, and cropping is all that is left.
Only what must be enlarged is cropped first: the rest would be enlarged in vain.
Frames are never reversed or shuffled in time: that changes what they show.
"""

from dataclasses import dataclass

import av
import cv2
import numpy as np

_CENTRE = (0.5, 0.5)
CORNERS_AND_CENTRE = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), _CENTRE)
# Luma weights of ITU-R BT.601, for the grey picture that saturation mixes with.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Augmentation:
    """What may vary from clip to clip. Ranges are symmetric around "unchanged".

    Attributes:
        scales: Sides of the crop as fractions of the short side, each in (0, 1];
            one is drawn. The default is the geometric series of 3D-ResNets.
        corner_crop: Draw the crop from the four corners and the centre; False keeps
            the centre.
        flip: Mirror left and right in half of the clips. Turn off for classes that
            differ by direction.
        brightness: Adds up to this fraction of the full range, in [0, 1].
        contrast: Stretches around mid-grey by a factor up to `1 +- contrast`, [0, 1].
        saturation: Mixes with grey, factor up to `1 +- saturation`, [0, 1].

    Raises:
        ValueError: A value is out of range.

    Example:

    >>> Augmentation.none().flip
    False
    """

    scales: tuple[float, ...] = (1.0, 0.84, 0.71, 0.59, 0.5)
    corner_crop: bool = True
    flip: bool = True
    brightness: float = 0.1
    contrast: float = 0.2
    saturation: float = 0.2

    def __post_init__(self):
        object.__setattr__(self, "scales", tuple(self.scales))
        if not self.scales or not all(0.1 <= scale <= 1 for scale in self.scales):
            raise ValueError(
                "`scales` must be a non-empty list of fractions in [0.1, 1]. "
                f"Received: scales={self.scales}."
            )
        for name in ("brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` must lie in [0, 1]. "
                    f"Received: {name}={getattr(self, name)}."
                )

    @classmethod
    def none(cls) -> "Augmentation":
        """The centre crop at full scale, colours as they are."""
        return cls((1.0,), False, False, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Transform:
    """One draw: how every frame of one clip is cropped, mirrored and coloured.

    Attributes:
        size: Side of the result in pixels.
        short_side: Short side in pixels that frames are scaled to before cropping.
        position: Place of the crop, `(0, 0)` top left to `(1, 1)` bottom right.
        flip: Mirror left and right.
        brightness: Added, as a fraction of the full range.
        contrast: Factor around mid-grey.
        saturation: Factor around grey of equal luma.
    """

    size: int
    short_side: int
    position: tuple[float, float] = _CENTRE
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0


def draw_transform(
    rng: np.random.Generator, augmentation: Augmentation, size: int
) -> Transform:
    """Draws the transform of one clip.

    Args:
        rng: Source of randomness. The number of values drawn does not depend on the
            augmentation, so that switching one part off leaves the others as they were.
        augmentation: What may vary.
        size: Side of the result in pixels.

    Example:

    >>> draw_transform(np.random.default_rng(0), Augmentation.none(), 64).short_side
    64
    """
    draws = rng.random(6)
    scale = augmentation.scales[int(draws[0] * len(augmentation.scales))]
    corner = CORNERS_AND_CENTRE[int(draws[1] * len(CORNERS_AND_CENTRE))]
    signed = 2.0 * draws[3:] - 1.0
    return Transform(
        size=size,
        short_side=max(size, round(size / scale)),
        position=corner if augmentation.corner_crop else _CENTRE,
        flip=bool(augmentation.flip and draws[2] < 0.5),
        brightness=float(signed[0] * augmentation.brightness),
        contrast=float(1.0 + signed[1] * augmentation.contrast),
        saturation=float(1.0 + signed[2] * augmentation.saturation),
    )


def apply_transform(frames: np.ndarray, transform: Transform) -> np.ndarray:
    """Applies one transform to all frames of a clip.

    Args:
        frames: uint8 RGB, shape `(frames, height, width, 3)`. Decode them at
            `short_side=transform.short_side` to save the resize, or as they are if
            they are smaller.
        transform: From `draw_transform`.

    Returns:
        uint8 RGB, shape `(frames, size, size, 3)`.
    """
    short_side = min(frames.shape[1:3])
    if short_side < transform.short_side:
        side = max(1, round(transform.size * short_side / transform.short_side))
        frames = _enlarge(_crop(frames, side, transform.position), transform.size)
    else:
        frames = resize_short_side(frames, transform.short_side)
        frames = _crop(frames, transform.size, transform.position)
    if transform.flip:
        frames = _mirror(frames)
    frames = _jitter(frames, transform)
    return np.ascontiguousarray(frames)


def centre_crop_resize(frames: np.ndarray, size: int) -> np.ndarray:
    """Scales the short side to `size` and cuts out the central square.

    Args:
        frames: uint8 RGB, shape `(frames, height, width, 3)`.
        size: Pixels.

    Returns:
        uint8 RGB, shape `(frames, size, size, 3)`.

    Example:

    >>> centre_crop_resize(np.zeros((2, 48, 64, 3), np.uint8), 32).shape
    (2, 32, 32, 3)
    """
    return apply_transform(frames, Transform(size=size, short_side=size))


def uniform_crops(frames: np.ndarray, size: int, num_crops: int) -> np.ndarray:
    """Cuts square crops spread evenly along the long side, ends included.

    One crop is the centre; three are left, centre and right of a wide video, top,
    centre and bottom of a tall one.

    Args:
        frames: uint8 RGB, shape `(frames, height, width, 3)`.
        size: Side of the crops, and of the short side before cropping, in pixels.
        num_crops: At least 1.

    Returns:
        uint8 RGB, shape `(num_crops, frames, size, size, 3)`.

    Raises:
        ValueError: `num_crops` is less than 1.

    Example:

    >>> uniform_crops(np.zeros((2, 32, 64, 3), np.uint8), 32, 3).shape
    (3, 2, 32, 32, 3)
    """
    if num_crops < 1:
        raise ValueError(f"`num_crops` must be at least 1. Received: {num_crops}.")
    frames = resize_short_side(frames, size)
    places = np.linspace(0, 1, num_crops) if num_crops > 1 else [0.5]
    # Along the short side there is nothing to choose: both coordinates can move.
    return np.stack([_crop(frames, size, (place, place)) for place in places])


def resize_short_side(frames: np.ndarray, short_side: int) -> np.ndarray:
    """Scales frames so that the shorter side has `short_side` pixels.

    Args:
        frames: uint8 RGB, shape `(frames, height, width, 3)`.
        short_side: Pixels.

    Returns:
        uint8 RGB; the array itself if it has that size already.
    """
    _, height, width, _ = frames.shape
    if min(height, width) == short_side:
        return frames
    scale = short_side / min(height, width)
    height, width = round(height * scale), round(width * scale)
    reformatter = av.video.reformatter.VideoReformatter()
    resized = np.empty((len(frames), height, width, 3), np.uint8)
    for k, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")
        resized[k] = reformatter.reformat(
            picture, width, height, interpolation="BICUBIC", threads=1
        ).to_ndarray()
    return resized


def _crop(frames: np.ndarray, size: int, position: tuple[float, float]) -> np.ndarray:
    _, height, width, _ = frames.shape
    top = round(position[0] * (height - size))
    left = round(position[1] * (width - size))
    return frames[:, top : top + size, left : left + size]


def _enlarge(frames: np.ndarray, size: int) -> np.ndarray:
    """Square frames of another size. OpenCV takes an eighth of FFmpeg's time here."""
    enlarged = np.empty((len(frames), size, size, 3), np.uint8)
    for frame, result in zip(frames, enlarged, strict=True):
        cv2.resize(frame, (size, size), dst=result, interpolation=cv2.INTER_CUBIC)
    return enlarged


def _mirror(frames: np.ndarray) -> np.ndarray:
    """Left and right swapped; a copy of `frames[:, :, ::-1]` takes 40 times as long."""
    return cv2.flip(_as_picture(frames), 1).reshape(frames.shape)


def _jitter(frames: np.ndarray, transform: Transform) -> np.ndarray:
    """`contrast * (mix - 127.5) + 127.5 + brightness * 255`, to one level in 255.

    Where `mix = saturation * pixel + (1 - saturation) * luma`.
    """
    contrast, saturation = transform.contrast, transform.saturation
    if (transform.brightness, contrast, saturation) == (0.0, 1.0, 1.0):
        return frames
    # Each colour of the result is a weighted sum of the three and a constant.
    grey = np.broadcast_to((1 - saturation) * LUMA, (3, 3))
    weights = contrast * (saturation * np.eye(3) + grey)
    offset = 127.5 * (1 - contrast) + 255 * transform.brightness
    weights = np.column_stack([weights, np.full(3, offset)])
    return cv2.transform(_as_picture(frames), weights).reshape(frames.shape)


def _as_picture(frames: np.ndarray) -> np.ndarray:
    """All frames one below the other, for OpenCV to take in one call."""
    return np.ascontiguousarray(frames).reshape(-1, frames.shape[2], 3)
