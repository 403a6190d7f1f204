"""What data-parallel training costs on many GPUs, on paper: no GPU is used here.

    python -m benchmarks.scaling

Volume: a ring all-reduce of G bytes over P devices sends `2 (P - 1) / P * G` from each.
Time: the compute time of a step is drawn for each device from a log-normal law, the
slowest device decides, and the part of the all-reduce that the backward pass does not
hide is added. Every assumption is an argument; none was measured.
"""

import argparse

import numpy as np

PARAMETERS = {"resnext101-16f": 48_420_546}
"""Of 400 classes, from `dynamonet summary`."""
NUMBER_BYTES = {"float32": 4, "bfloat16": 2}
GPUS = (8, 64, 512)


def ring_bytes(parameters: int, number_bytes: int, devices: int) -> float:
    """Bytes that each device sends in one all-reduce of the gradients.

    Example:

    >>> ring_bytes(100, 4, 2)
    400.0
    """
    return 2 * (devices - 1) / devices * parameters * number_bytes


def efficiency(arguments: argparse.Namespace, devices: int, sent: float) -> float:
    """Simulated clips a second of one device, as a share of a device alone."""
    rng = np.random.default_rng(arguments.seed)
    spread = np.log1p(arguments.jitter**2) ** 0.5
    shape = (arguments.steps, devices)
    factors = np.exp(rng.normal(-(spread**2) / 2, spread, shape))
    compute = arguments.step_ms * factors.max(axis=1)
    inside = devices <= arguments.gpus_a_host
    gigabytes = arguments.host_gb_s if inside else arguments.network_gb_s
    reduce_ms = sent / (gigabytes * 1e9) * 1e3
    exposed = max(0.0, reduce_ms - arguments.overlap * arguments.step_ms)
    return float(arguments.step_ms / (compute + exposed).mean())


def main() -> None:
    """Prints the table as Markdown, with its assumptions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step-ms", type=float, default=250.0)
    parser.add_argument("--jitter", type=float, default=0.03)
    parser.add_argument("--overlap", type=float, default=0.5)
    parser.add_argument("--gpus-a-host", type=int, default=8)
    parser.add_argument("--host-gb-s", type=float, default=200.0)
    parser.add_argument("--network-gb-s", type=float, default=20.0)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    assumed = ", ".join(f"{name}={value:g}" for name, value in vars(arguments).items())
    print(f"Assumed, not measured: {assumed}\n")
    print("| GPUs | gradients | sent by each GPU, a step | simulated efficiency |")
    print("| --- | --- | --- | --- |")
    [parameters] = PARAMETERS.values()
    for devices in GPUS:
        for name, size in NUMBER_BYTES.items():
            sent = ring_bytes(parameters, size, devices)
            share = efficiency(arguments, devices, sent)
            print(f"| {devices} | {name} | {sent / 1e6:.1f} MB | {100 * share:.1f} % |")


if __name__ == "__main__":
    main()
