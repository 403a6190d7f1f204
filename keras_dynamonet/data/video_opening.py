"""From a path to a reader, whatever it is the path of."""

import os

from keras_dynamonet.data.packed_video import PackedVideo
from keras_dynamonet.data.shards import PackedAddress
from keras_dynamonet.data.video_reader import VideoReader


def open_video_reader(
    path: str | os.PathLike, *, num_threads: int = 1
) -> VideoReader | PackedVideo:
    """Opens a video file, or a packed video by its address.

    Args:
        path: The file or address.
        num_threads: Decoder threads for files. 1 suits many readers side by side.

    Raises:
        VideoError: Nothing that can be read is there.

    Example:

    ```python
    with open_video_reader("walk.mp4") as video:
        frames = video.read_frames([0.0, 0.1, 0.2], short_side=64)
    ```
    """
    if PackedAddress.parse(path) is not None:
        return PackedVideo(path)
    return VideoReader(path, num_threads=num_threads)
