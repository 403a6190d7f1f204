"""One packed video as a record: a TensorFlow `SequenceExample` of JPEG frames.

| feature | kind | holds |
| --- | --- | --- |
| `video/path` | bytes | path of the source below its root |
| `video/class` | bytes | name of the class; absent without a label |
| `video/size` | 2 int64 | height and width in pixels |
| `video/fps` | 2 int64 | numerator and denominator |
| `video/duration_ns` | int64 | from the first frame to the end of the last |
| `frame/time_ns` | int64 a frame | start of each frame |
| `frame/jpeg` | feature list, bytes a frame | the pictures |

Times are whole nanoseconds, so that a packed video has the same clips everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

_NANOSECONDS = 10**9
_MAX_FPS_DENOMINATOR = 10**6


@dataclass(frozen=True)
class PackedRecord:
    """What one record holds.

    Attributes:
        path: Path of the source below its root.
        class_name: Name of the class; None without a label.
        height: Pixels.
        width: Pixels.
        fps: Frames per second.
        duration_seconds: From the first frame to the end of the last.
        frame_times: Start of each frame in seconds, sorted: float64, shape `(frames,)`.
        jpegs: The pictures, one a frame.

    Example:

    >>> record = PackedRecord("a.mp4", None, 2, 2, 10.0, 0.1, np.zeros(1), (b"...",))
    >>> PackedRecord.from_bytes(record.to_bytes()).fps
    10.0
    """

    path: str
    class_name: str | None
    height: int
    width: int
    fps: float
    duration_seconds: float
    frame_times: np.ndarray
    jpegs: Sequence[bytes]

    def to_bytes(self) -> bytes:
        """The record as it stands in a shard."""
        import tensorflow as tf

        fps = Fraction(self.fps).limit_denominator(_MAX_FPS_DENOMINATOR)
        times = np.rint(np.asarray(self.frame_times) * _NANOSECONDS).astype(np.int64)
        context = {
            "video/path": _bytes(self.path),
            "video/size": _integers(self.height, self.width),
            "video/fps": _integers(fps.numerator, fps.denominator),
            "video/duration_ns": _integers(round(self.duration_seconds * _NANOSECONDS)),
            "frame/time_ns": _integers(*times.tolist()),
        }
        if self.class_name is not None:
            context["video/class"] = _bytes(self.class_name)
        pictures = [
            tf.train.Feature(bytes_list=tf.train.BytesList(value=[jpeg]))
            for jpeg in self.jpegs
        ]
        example = tf.train.SequenceExample(
            context=tf.train.Features(feature=context),
            feature_lists=tf.train.FeatureLists(
                feature_list={"frame/jpeg": tf.train.FeatureList(feature=pictures)}
            ),
        )
        return example.SerializeToString(deterministic=True)

    @classmethod
    def from_bytes(cls, record: bytes) -> "PackedRecord":
        """Reads what `to_bytes` made.

        Raises:
            ValueError: The bytes are no such record.
        """
        import tensorflow as tf
        from google.protobuf.message import DecodeError

        try:
            example = tf.train.SequenceExample.FromString(record)
            context = example.context.feature
            pictures = example.feature_lists.feature_list["frame/jpeg"].feature
            names = context["video/class"].bytes_list.value
            (path,) = context["video/path"].bytes_list.value
            height, width = context["video/size"].int64_list.value
            fps = Fraction(*context["video/fps"].int64_list.value)
            (duration,) = context["video/duration_ns"].int64_list.value
            times = np.array(context["frame/time_ns"].int64_list.value, np.float64)
            return cls(
                _text(path),
                _text(names[0]) if names else None,
                height,
                width,
                float(fps),
                duration / _NANOSECONDS,
                times / _NANOSECONDS,
                _Pictures(pictures),
            )
        except (DecodeError, IndexError, TypeError, ValueError, ZeroDivisionError):
            raise ValueError("The bytes are no packed video.") from None


class _Pictures(Sequence):
    """The pictures of a record that is read, copied out of it one by one on demand."""

    def __init__(self, features: Sequence):
        self._features = features

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, number: int) -> bytes:
        return self._features[number].bytes_list.value[0]


def _bytes(text: str):
    import tensorflow as tf

    value = text.encode("utf-8", "surrogateescape")
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _integers(*values: int):
    import tensorflow as tf

    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
