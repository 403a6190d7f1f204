"""What each worker does: load the model once, then write part after part."""

import os
from dataclasses import dataclass
from pathlib import Path

from keras_dynamonet.bulk.job import BulkJob, Part
from keras_dynamonet.bulk.output import part_path
from keras_dynamonet.bulk.table import VECTOR_COLUMNS, make_table, write_table
from keras_dynamonet.training.evaluation import Protocol
from keras_dynamonet.training.trained_model import load_trained_model
from keras_dynamonet.training.video_outputs import VideoDescriber


@dataclass(frozen=True)
class PartResult:
    """A finished part.

    Args:
        number: Which part.
        videos: Its rows.
        worker: Process that wrote it, `host:process id`.
    """

    number: int
    videos: int
    worker: str


class PartWriter:
    """Writes the parts of a job.

    Args:
        job: What to compute.
        out: Folder of the output.
        threads: Threads that read videos. Default: one for each processor.

    Raises:
        UserError: If the model cannot be loaded, or has no classes and nothing else
            was asked for.
    """

    def __init__(self, job: BulkJob, out: Path, *, threads: int | None = None):
        trained = load_trained_model(job.model, fps=job.fps, stride=job.stride)
        # Without vectors the actions are all there is: their absence is an error.
        known = trained.model.class_names if job.vectors else trained.class_names
        self._class_names = list(known or ())
        self._top, self._out = job.top, out
        self._vectors = tuple(VECTOR_COLUMNS) if job.vectors else ()
        self._describe = VideoDescriber(
            trained,
            (*(("logits",) if self._class_names else ()), *self._vectors),
            protocol=Protocol(job.num_clips, job.num_crops),
            batch_size=job.batch_size,
            workers=threads,
        )

    def __call__(self, part: Part) -> PartResult:
        """Writes one part's file, in place of any earlier one."""
        videos = self._describe(part.paths)
        table = make_table(
            videos,
            class_names=self._class_names,
            top=self._top,
            vectors=self._vectors,
        )
        write_table(part_path(self._out, part.number), table)
        worker = f"{os.uname().nodename}:{os.getpid()}"
        return PartResult(part.number, len(videos), worker)
