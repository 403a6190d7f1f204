"""Opening video files, and the one error that every unreadable file ends in."""

import os

import av
from av.stream import Disposition
from av.video.stream import VideoStream

from keras_dynamonet.data.places import is_remote
from keras_dynamonet.errors import UserError


class VideoError(UserError):
    """A video file that cannot give the frames asked of it.

    Args:
        path: The file.
        reason: Why, in a few words without the path.

    Example:

    >>> str(VideoError("clips/a.mp4", "the file is empty"))
    'clips/a.mp4: the file is empty.'
    """

    def __init__(self, path: str | os.PathLike, reason: str):
        self.path = os.fspath(path)
        self.reason = reason.rstrip(".")
        super().__init__(f"{self.path}: {self.reason}.")

    def __reduce__(self):
        # Exceptions pickle by their message alone; worker processes send this one home.
        return type(self), (self.path, self.reason)


class VideoTooShortError(VideoError):
    """A sound video that is shorter than a clip, under the policy `"skip"`."""


def open_video(
    path: str | os.PathLike, *, num_threads: int = 1
) -> tuple[av.container.InputContainer, VideoStream]:
    """Opens a file and picks its first moving video stream.

    Args:
        path: The video file; one that lies elsewhere is downloaded first.
        num_threads: Decoder threads.

    Returns:
        The open container, which the caller closes, and the stream.

    Raises:
        VideoError: The file is missing, empty, not a video, or has no video stream.
        RemoteError: The server that has it cannot be reached.
    """
    path = os.fspath(path)
    file = path
    if is_remote(path):
        from keras_dynamonet.data.downloads import local_copy

        file = local_copy(path)
    try:
        if os.path.getsize(file) == 0:
            raise VideoError(path, "the file is empty (0 bytes)")
        # "file:" keeps FFmpeg from reading a name such as `a:b.mp4` as an address; the
        # white list keeps a playlist in disguise from reaching out to the network.
        container = av.open(f"file:{file}", options={"protocol_whitelist": "file"})
    except VideoError:
        raise
    except (OSError, ValueError, av.FFmpegError) as error:
        raise VideoError(path, _why_not_opened(file, error)) from error
    # The cover of an audio file is a video stream too, of one attached picture.
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not streams:
        container.close()
        raise VideoError(path, "holds no video stream (audio only?)")
    stream = streams[0]
    if stream.codec_context is None:
        container.close()
        raise VideoError(path, "its video codec is not supported")
    # Threads that work on several frames at once blur which packet a frame came from,
    # which is all that there is to tell the time in AVI files.
    by_frames = num_threads > 1 and container.format.name != "avi"
    stream.codec_context.thread_type = "AUTO" if by_frames else "SLICE"
    stream.codec_context.thread_count = num_threads
    # Without this, decoders paint over damage that they see and report success.
    stream.codec_context.options = {"err_detect": "explode"}
    return container, stream


def _why_not_opened(path: str, error: Exception) -> str:
    if os.path.isdir(path):
        return "is a folder, not a video file"
    if not os.path.exists(path):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    text = getattr(error, "strerror", None) or str(error)
    return f"not a readable video, or cut short ({text})"
