"""Times one case and prints what it found: the process behind `dynamonet benchmark`.

    python -m keras_dynamonet.exporters.timing_worker '{"target": "nano-16f", ...}'

The last line on standard output is a JSON document, with the key `error` if the network
could not be loaded or run.
"""

import functools
import json
import sys
import time
import traceback
from pathlib import Path

from keras_dynamonet.errors import UserError, first_line
from keras_dynamonet.exporters.runtimes import load
from keras_dynamonet.exporters.timing import Case, measure


def time_case(case: Case) -> dict:
    """Loads a network, times it, and tells the memory of this process.

    Raises:
        UserError: If it cannot be loaded or run.
    """
    started = time.perf_counter()
    loaded = _explained(
        case, "load it", lambda: load(case.runtime, case.target, case.threads)
    )
    load_seconds = time.perf_counter() - started
    try:
        clips = loaded.random_clips(case.batch)
    except UserError as error:
        raise UserError(f"{case.target}: {error}.") from error
    # A runtime with a clock of its own, on a GPU, tells more.
    timer = loaded.measure or functools.partial(measure, loaded.run)
    report = _explained(
        case,
        f"run a batch of {case.batch}",
        lambda: timer(
            clips,
            duration_seconds=case.duration_seconds,
            iterations=case.iterations,
            warm_up_seconds=case.warm_up_seconds,
        ),
    )
    return {
        "target": case.target,
        "with": case.runtime,
        "runtime": loaded.runtime,
        "threads": case.threads,
        **report.to_json(),
        "load_seconds": load_seconds,
        "peak_memory_mib": peak_memory_mib(),
        "text": report.to_text(),
    }


def peak_memory_mib() -> float | None:
    """The most memory this process has held, in MiB; `None` without `/proc`.

    `getrusage` would count what the process that started this one held.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _explained(case, what, work):
    """Runs `work`; whatever a runtime raises becomes a line for the user."""
    try:
        return work()
    except UserError:
        raise
    except Exception as error:
        traceback.print_exc()
        reason = first_line(str(error) or type(error).__name__)
        raise UserError(
            f"{case.target}: {case.runtime} cannot {what}: {reason[:300]}"
        ) from error


def main(argument: str) -> None:
    """Times the case that `argument` describes."""
    try:
        document = time_case(Case(**json.loads(argument)))
    except UserError as error:
        document = {"error": str(error)}
    sys.stdout.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
