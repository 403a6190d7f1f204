"""Learning rate over the steps of a run."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear growth to a peak, then half a cosine down to a share of it.

    With `w` warm-up steps out of `n`, the rate of step `s`, counted from 0, is

    - `peak * (s + 1) / w` for `s < w`: the first step already learns, and step `w - 1`
      has the peak;
    - `peak * (f + (1 - f) * (1 + cos(pi * p)) / 2)` after that, where
      `p = (s - w) / (n - 1 - w)` goes from 0 to 1 and `f` is `final_share`;
    - `peak * f` from the last step on.

    Args:
        peak: Highest rate, above 0.
        total_steps: Steps of the whole run, `n`, at least 1.
        warmup_steps: Steps of linear growth, `w`, from 0 to `total_steps`.
        final_share: The last rate as a share of `peak`, in `[0, 1]`.
        name: Name of the schedule.

    Raises:
        ValueError: If an argument is out of range.

    Reference: Loshchilov and Hutter, SGDR, ICLR 2017 (the cosine); Goyal et al., 2017
    (the warm-up).

    Example:

    >>> schedule = WarmupCosine(1.0, total_steps=7, warmup_steps=2, final_share=0.0)
    >>> [round(float(schedule(step)), 2) for step in range(8)]
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15, 0.0, 0.0]
    """

    def __init__(
        self,
        peak: float,
        total_steps: int,
        *,
        warmup_steps: int = 0,
        final_share: float = 0.0,
        name: str = "warmup_cosine",
    ):
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.final_share = final_share
        self.name = name
        if not peak > 0:
            raise ValueError(f"`peak` must be positive. Received: peak={peak}.")
        if total_steps < 1 or not 0 <= warmup_steps <= total_steps:
            raise ValueError(
                "`warmup_steps` must lie in 0 to `total_steps`, which must be at least "
                f"1. Received: warmup_steps={warmup_steps}, total_steps={total_steps}."
            )
        if not 0 <= final_share <= 1:
            raise ValueError(
                f"`final_share` must lie in [0, 1]. Received: {final_share}."
            )

    def __call__(self, step):
        step = ops.cast(step, "float32")
        growth = (step + 1.0) / max(1, self.warmup_steps)
        falling_steps = max(1, self.total_steps - 1 - self.warmup_steps)
        progress = ops.clip((step - self.warmup_steps) / falling_steps, 0.0, 1.0)
        cosine = 0.5 * (1.0 + ops.cos(3.141592653589793 * progress))
        fall = self.final_share + (1.0 - self.final_share) * cosine
        return self.peak * ops.where(step < self.warmup_steps, growth, fall)

    def get_config(self):
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "final_share": self.final_share,
            "name": self.name,
        }
