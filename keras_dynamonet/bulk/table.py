"""The rows of a bulk inference as Parquet: one a video, readable or not.

| column | type | holds |
| --- | --- | --- |
| `path` | string | the video; bytes that are no UTF-8 as `\\xff` |
| `top` | list of `{action, probability}` | the most probable actions, best first |
| `embedding` | list of float32 | the feature before the classifier, mean of the views |
| `dmr` | list of float32 | the dynamic motion representation, mean of the views |
| `status` | string | `ok`, `bad` or `too_short` |
| `error` | string | why there is no answer; null if there is one |

`top` is missing for a model of frames alone; `embedding` and `dmr` where they were not
asked for. Of a video that could not be read all but `path`, `status` and `error` is
null.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dynamonet.data.places import as_utf8
from keras_dynamonet.errors import MissingExtraError
from keras_dynamonet.files import atomic_path
from keras_dynamonet.training.probabilities import top_classes
from keras_dynamonet.training.video_outputs import VideoOutputs

if TYPE_CHECKING:
    import pyarrow

OK, BAD, TOO_SHORT = "ok", "bad", "too_short"


def import_pyarrow():
    """The `pyarrow` package.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("Writing Parquet", "parquet") from error
    return pyarrow


def make_table(
    videos: Sequence[VideoOutputs],
    *,
    class_names: Sequence[str],
    top: int,
    vectors: Sequence[str],
) -> "pyarrow.Table":
    """The rows of some videos.

    Args:
        videos: What a model says of each; with `"logits"` where there are classes, and
            with the outputs that `vectors` names.
        class_names: The classes; empty leaves out `top`.
        top: Most probable actions a row.
        vectors: Outputs that become columns of their own, as `VECTOR_COLUMNS` has it.

    Returns:
        The table, with the same columns and types for any videos.
    """
    pa = import_pyarrow()
    columns = [[as_utf8(video.path) for video in videos]]
    fields = [("path", pa.string())]
    if class_names:
        action = pa.struct([("action", pa.string()), ("probability", pa.float32())])
        fields.append(("top", pa.list_(action)))
        columns.append(
            [video.means and _top(video.means, class_names, top) for video in videos]
        )
    for output in vectors:
        # Not of a fixed length: Arrow before 26 cannot read nulls among such lists.
        fields.append((VECTOR_COLUMNS[output], pa.list_(pa.float32())))
        columns.append(
            [video.means and video.means[output].astype("float32") for video in videos]
        )
    fields += [("status", pa.string()), ("error", pa.string())]
    columns += [
        [_status(v) for v in videos],
        [v.error and as_utf8(v.error) for v in videos],
    ]
    schema = pa.schema(fields)
    arrays = [
        pa.array(values, type=field.type)
        for values, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def write_table(path: Path, table: "pyarrow.Table") -> None:
    """Writes one file of the output, whole or not at all."""
    pa = import_pyarrow()
    with atomic_path(path) as temporary:
        pa.parquet.write_table(table, temporary, compression="zstd")


VECTOR_COLUMNS = {"feature": "embedding", "dmr": "dmr"}
"""Column of the table by the name of the network's output."""


def _top(means: dict, class_names: Sequence[str], top: int) -> list[dict]:
    return [
        {"action": as_utf8(name), "probability": share}
        for name, share in top_classes(means["logits"], class_names, top)
    ]


def _status(video: VideoOutputs) -> str:
    if video.error is None:
        return OK
    return TOO_SHORT if video.too_short else BAD
