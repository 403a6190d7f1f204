"""What the layers make of sizes that cannot be."""

import keras
import pytest

from keras_dynamonet import layers
from keras_dynamonet.layers.arguments import require_known, require_positive, triple


def test_triple():
    assert triple(2) == (2, 2, 2)
    assert triple([1, 2, 3]) == (1, 2, 3)
    with pytest.raises(ValueError, match="A size must be an integer or one for frames"):
        triple((1, 2))


def test_require_positive_names_the_argument():
    require_positive(groups=1, strides=(1, 2, 2))
    with pytest.raises(ValueError, match="`strides` must be at least 1. Received: str"):
        require_positive(groups=1, strides=(1, 0, 2))


@pytest.mark.parametrize(
    "layer",
    [
        layers.GroupedConv3D(4),
        layers.MaxPool3D(),
        layers.AveragePool3D(),
        layers.STCBlock(),
        layers.FilterSolver(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_size_that_is_not_known_raises(layer):
    clip = keras.Input((4, None, 16, 3))
    with pytest.raises(ValueError, match=r"must be known when .*None"):
        layer(clip)


def test_frames_and_filters_of_unknown_size_raise():
    frames, filters = keras.Input((None, 8, 8, 3)), keras.Input((4, 3, 3, 1))
    with pytest.raises(ValueError, match="must be known"):
        layers.DynamicMotionFilter()([frames, filters])
    with pytest.raises(ValueError, match="must be known"):
        require_known((None, 4, None))
