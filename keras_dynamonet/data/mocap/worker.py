"""A process that renders clips: `python -m keras_dynamonet.data.mocap.worker`.

Jobs come as one JSON document on standard input; each finished clip is one JSON line on
standard output. A program of its own, rather than `multiprocessing`, never runs the
caller's main module again, so that callers need no `if __name__ == "__main__"` and
workers load neither Keras nor TensorFlow.
"""

import json
import sys
from pathlib import Path

import cv2

from keras_dynamonet.data.mocap.clips import ClipParameters
from keras_dynamonet.data.mocap.jobs import Job, run_job


def main() -> int:
    cv2.setNumThreads(1)
    order = json.load(sys.stdin)
    parameters = ClipParameters(**order["parameters"])
    for job in order["jobs"]:
        job = Job(job["split"], job["index"], tuple(job["classes"]))
        for record in run_job(job, parameters, Path(order["root"])):
            sys.stdout.write(json.dumps(record) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
