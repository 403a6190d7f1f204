"""Losses, metrics and speed in one line of text."""

from collections.abc import Mapping


def epoch_line(logs: Mapping[str, float]) -> str:
    """One line on a finished epoch: training, validation, speed.

    Example:

    >>> epoch_line({"loss": 1.25, "accuracy": 0.5, "clips_per_second": 81.0,
    ...             "data_wait_share": 0.02})
    'loss 1.250  accuracy 50.0 %  |  81 clips/s, 2 % waiting for data'
    """
    parts = [_part(logs, "")]
    if "val_loss" in logs:
        parts.append(f"validation {_part(logs, 'val_')}")
    if "clips_per_second" in logs:
        parts.append(_speed(logs))
    return "  |  ".join(parts)


def step_line(logs: Mapping[str, float]) -> str:
    """Losses so far in the epoch, and speed."""
    values = [f"loss {logs['loss']:.3f}"]
    if "accuracy" in logs:
        values.append(f"accuracy {100 * logs['accuracy']:.1f} %")
    if "clips_per_second" in logs:
        values.append(_speed(logs))
    return "  ".join(values)


def _part(logs: Mapping[str, float], prefix: str) -> str:
    values = [f"loss {logs[f'{prefix}loss']:.3f}"]
    if f"{prefix}accuracy" in logs:
        values.append(f"accuracy {100 * logs[f'{prefix}accuracy']:.1f} %")
    if f"{prefix}psnr_gain_unseen" in logs:
        gain = (logs[f"{prefix}psnr_gain_{part}"] for part in ("observed", "unseen"))
        values.append("gain {:+.2f}/{:+.2f} dB".format(*gain))
    return "  ".join(values)


def _speed(logs: Mapping[str, float]) -> str:
    speed = f"{logs['clips_per_second']:.0f} clips/s"
    if "data_wait_share" in logs:
        speed += f", {100 * logs['data_wait_share']:.0f} % waiting for data"
    return speed
