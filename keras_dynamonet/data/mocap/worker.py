"""A process that renders clips: `python -m keras_dynamonet.data.mocap.worker`.

Jobs come as one JSON document on standard input; each finished clip is one JSON line on
standard output. A program of its own, rather than `multiprocessing`, never runs the
caller's main module again, so that callers need no `if __name__ == "__main__"` and
workers load neither Keras nor TensorFlow.
"""

import json
import signal
import sys
from pathlib import Path

import cv2

from keras_dynamonet.data.mocap.clips import ClipParameters
from keras_dynamonet.data.mocap.jobs import Job, run_job
from keras_dynamonet.data.mocap.processes import USERS_TROUBLE
from keras_dynamonet.errors import UserError


def main() -> int:
    # Ctrl-C reaches all processes of a terminal; the one that started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    order = json.load(sys.stdin)
    parameters = ClipParameters(**order["parameters"])
    try:
        for job in order["jobs"]:
            job = Job(job["split"], job["index"], tuple(job["classes"]))
            for record in run_job(job, parameters, Path(order["root"])):
                sys.stdout.write(json.dumps(record) + "\n")
                sys.stdout.flush()
    except (OSError, UserError) as error:  # e.g. a full disk
        sys.stderr.write(f"{error}\n")
        return USERS_TROUBLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
