"""Training parts of a pretrained network, and lower layers more slowly.

```python
model = DynamoNet.from_backbone(load_torch_checkpoint("resnext-101.pth"), 101)
freeze(model, until="stage3")  # trains stage4 and the heads
optimizer = LayerwiseAdamW(1e-3, rate_scales=layer_rate_scales(model, decay=0.5))
model.compile(optimizer)
```
"""

from collections.abc import Mapping

import keras
from keras import ops

from keras_dynamonet.models.dynamonet import DynamoNet
from keras_dynamonet.models.freezing import STAGES
from keras_dynamonet.models.resnext3d import ResNeXt3D


def freeze(
    model: DynamoNet | ResNeXt3D,
    until: str | None = None,
    *,
    batch_norm: str = "with_stage",
) -> None:
    """Freezes the backbone from the stem up to a stage. Call it before `compile`.

    The backbone remembers it, also in the model's file.

    Args:
        model: The network; a former freeze is undone.
        until: The last frozen stage, `"stem"` or `"stage1"` to `"stage4"`, or `None` to
            freeze none.
        batch_norm: `"with_stage"`: normalisations freeze with their stage, statistics
            included. `"frozen"`: those of the whole backbone do, as suits small
            batches. `"adapting"`: the statistics of frozen stages still follow the new
            videos, as in the recipe of Hara et al.

    Raises:
        ValueError: If `until` or `batch_norm` is unknown.

    Example:

    >>> model = DynamoNet.from_preset("nano-16f", num_classes=4, size=32)
    >>> freeze(model, until="stage3")
    >>> {v.path.split("/")[0] for v in model.backbone.trainable_variables}
    {'stage4_block1'}
    """
    _backbone(model).freeze(until, batch_norm=batch_norm)


def layer_rate_scales(model: DynamoNet | ResNeXt3D, decay: float) -> dict[str, float]:
    """What the learning rate of each variable is multiplied by.

    1 for the heads, `decay` for stage 4, `decay ** 2` for stage 3, and so on down to
    the stem: what is learnt first is most general.

    Args:
        model: The network.
        decay: In (0, 1]; 1 trains all layers alike.

    Returns:
        The scale by the path of the variable.

    Raises:
        ValueError: If `decay` is not in (0, 1].

    Example:

    >>> model = ResNeXt3D(10, num_frames=4, size=32, cardinality=1, num_classes=4)
    >>> scales = layer_rate_scales(model, decay=0.5)
    >>> scales["stem_conv/conv/kernel"], scales["action/kernel"]
    (0.03125, 1.0)
    """
    if not 0 < decay <= 1:
        raise ValueError(f"`decay` must lie in (0, 1]. Received: decay={decay}")
    scales = {variable.path: 1.0 for variable in model.variables}
    for layer in _backbone(model).layers:
        for distance, stage in enumerate(reversed(STAGES), start=1):
            if layer.name.startswith(stage):
                scales |= {v.path: decay**distance for v in layer.variables}
    return scales


class _LayerwiseRates:
    """Gives each variable of an optimizer its own share of the learning rate."""

    def __init__(self, *args, rate_scales: Mapping[str, float], **kwargs):
        super().__init__(*args, **kwargs)
        if keras.backend.backend() == "torch":
            raise ValueError(
                "Layer-wise learning rates need the TensorFlow or JAX backend: on "
                "PyTorch, Keras updates all variables in one go."
            )
        self.rate_scales = dict(rate_scales)

    def build(self, variables):
        super().build(variables)
        self._scales = [self.rate_scales.get(v.path, 1.0) for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        rate = ops.cast(learning_rate, variable.dtype)
        rate = rate * self._scales[self._get_variable_index(variable)]
        if self.weight_decay is not None and self._use_weight_decay(variable):
            self.assign_sub(variable, variable * self.weight_decay * rate)
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables):
        """Left to `update_step`, which knows the rate of each variable."""

    def get_config(self):
        return {**super().get_config(), "rate_scales": self.rate_scales}


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class LayerwiseSGD(_LayerwiseRates, keras.optimizers.SGD):
    """SGD with a learning rate of its own for each variable.

    Args:
        rate_scales: Factor of the learning rate and of the weight decay by the path of
            the variable, 1 for others; see :func:`layer_rate_scales`.
        *args: As for `keras.optimizers.SGD`.
        **kwargs: As for `keras.optimizers.SGD`.
    """


@keras.saving.register_keras_serializable(package="keras_dynamonet")
class LayerwiseAdamW(_LayerwiseRates, keras.optimizers.AdamW):
    """AdamW with a learning rate of its own for each variable.

    Args:
        rate_scales: As for :class:`LayerwiseSGD`.
        *args: As for `keras.optimizers.AdamW`.
        **kwargs: As for `keras.optimizers.AdamW`.
    """


def _backbone(model):
    return model.backbone if isinstance(model, DynamoNet) else model
