"""The process that `benchmarks.manifest_size` measures; prints JSON."""

import json
import resource
import statistics
import sys
import time

_BATCH = 8
_STEPS = 40


def measure(data: str) -> dict[str, float]:
    """Seconds, milliseconds and megabytes for one list."""
    import tensorflow as tf

    from keras_dynamonet.data import ClipSpec, load_manifest, training_dataset

    spec = ClipSpec(num_frames=2, size=16)
    tf.constant(0)
    baseline = peak_megabytes()
    began = time.perf_counter()
    manifest = load_manifest(data)
    loaded = time.perf_counter()
    batches = iter(
        training_dataset(manifest, spec, batch_size=_BATCH, seed=0, workers=1)
    )
    next(batches)
    first = time.perf_counter()
    steps = []
    for _ in range(_STEPS):
        start = time.perf_counter()
        next(batches)
        steps.append(time.perf_counter() - start)
    memory = peak_megabytes() - baseline
    start = time.perf_counter()
    manifest.fingerprint()
    return {
        "manifest_s": loaded - began,
        "first_batch_s": first - began,
        "fingerprint_s": time.perf_counter() - start,
        "memory_mb": memory,
        "step_ms": 1000 * statistics.median(steps),
    }


def peak_megabytes() -> float:
    """Most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
