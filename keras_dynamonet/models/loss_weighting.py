"""How the losses of several tasks become one."""

from keras import ops

# Loss below which a task counts as solved: keeps the logarithm finite.
_SMALLEST_LOSS = 1e-6


def fixed(losses, weights):
    """`sum of weight * loss`.

    Example:

    >>> float(fixed({"a": ops.ones(()), "b": ops.ones(())}, {"a": 1.0, "b": 0.5}))
    1.5
    """
    return sum(weights[name] * loss for name, loss in losses.items())


def uncertainty(losses, weights):
    """`sum of weight / 2 * log(1 + loss / 1e-6)`: each task counts by its own scale.

    With a learned variance `s^2` for each task, Kendall et al. minimise `loss / (2 s^2)
    + log s`. At the variance that is best for a batch, `s^2 = loss`, that is `log(loss)
    / 2` but for a constant: halving any loss is worth the same. A task that is absent
    from a batch has no loss and no gradient.

    Reference:
        Kendall et al., *Multi-Task Learning Using Uncertainty to Weigh Losses*, CVPR
        2018, equation 7, with the variances solved for instead of learnt.

    Example:

    >>> small, large = ops.full((), 0.01), ops.full((), 10.0)
    >>> gain = uncertainty({"a": large}, {"a": 1.0}) - uncertainty(
    ...     {"a": small}, {"a": 1.0})
    >>> round(float(gain), 3)  # log(1000) / 2
    3.454
    """
    return sum(
        0.5 * weights[name] * ops.log(1.0 + loss / _SMALLEST_LOSS)
        for name, loss in losses.items()
    )


LOSS_WEIGHTINGS = {"fixed": fixed, "uncertainty": uncertainty}
