"""How sure a share is that was counted on few videos."""

from math import sqrt

Z_95 = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""


def wilson_interval(
    hits: float, trials: int, *, z: float = Z_95
) -> tuple[float, float]:
    """Wilson score interval of a binomial share.

    Unlike the share plus or minus its standard error, it stays inside `[0, 1]` and is
    of use for 0 or `trials` hits.

    Args:
        hits: Number of successes, a mean perhaps.
        trials: Number of trials, at least 1.
        z: Width in standard deviations; the default gives 95 %.

    Returns:
        Lower and upper bound.

    Raises:
        ValueError: Unless `0 <= hits <= trials` and `trials >= 1`.

    Example:

    >>> [round(bound, 3) for bound in wilson_interval(8, 10)]
    [0.49, 0.943]
    """
    if trials < 1 or not 0 <= hits <= trials:
        raise ValueError(
            "`hits` must lie between 0 and `trials`, and `trials` be at least 1. "
            f"Received: hits={hits}, trials={trials}."
        )
    share = hits / trials
    centre = share + z * z / (2 * trials)
    spread = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
