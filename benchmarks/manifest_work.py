"""The process that `benchmarks.manifest_size` measures; prints JSON."""

import json
import statistics
import sys
import time

from keras_dynamonet.exporters.timing_worker import peak_memory_mib

_BATCH = 8
_STEPS = 40


def measure(data: str) -> dict[str, float]:
    """Seconds, milliseconds and megabytes for one list."""
    import tensorflow as tf

    from keras_dynamonet.data import ClipSpec, load_manifest, training_dataset

    spec = ClipSpec(num_frames=2, size=16)
    tf.constant(0)
    baseline = peak_memory_mib()
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
    memory = peak_memory_mib() - baseline
    start = time.perf_counter()
    manifest.fingerprint()
    return {
        "manifest_s": loaded - began,
        "first_batch_s": first - began,
        "fingerprint_s": time.perf_counter() - start,
        "memory_mib": memory,
        "step_ms": 1000 * statistics.median(steps),
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
