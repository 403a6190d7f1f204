import numpy as np
import pytest

from keras_dynamonet.layers import PixelNormalization
from tests.helpers import check_layer


def pixels(dtype):
    return np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5, 3)).astype(dtype)


@pytest.mark.parametrize("dtype", ("uint8", "float32"))
def test_outputs_equal_the_definition(dtype):
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    inputs = pixels(dtype)
    expected = (inputs / 255 - mean) / std
    np.testing.assert_allclose(
        PixelNormalization(mean, std)(inputs), expected, atol=1e-5
    )


def test_half_precision_rounds_only_the_result():
    inputs = pixels("float32") + 0.4
    half = PixelNormalization(dtype="mixed_bfloat16")(inputs)
    single = PixelNormalization()(inputs)
    # bfloat16 has a relative precision of 2^-8; a cast before the subtraction of the
    # mean would lose more.
    np.testing.assert_allclose(np.array(half, "float32"), single, rtol=2**-8)


@pytest.mark.parametrize("dtype", ("uint8", "float32"))
def test_is_a_sound_layer(dtype, tmp_path):
    check_layer(PixelNormalization, {}, pixels(dtype), tmp_path)


@pytest.mark.parametrize("std", [(1.0, 1.0), (1.0, 0.0, 1.0)])
def test_wrong_deviations_raise(std):
    with pytest.raises(ValueError, match="`std` positive"):
        PixelNormalization(mean=(0.0, 0.0, 0.0), std=std)
