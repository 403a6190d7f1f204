"""Imported networks compute what the originals compute, at every stage."""

import keras
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from keras_dynamonet.layers import VideoBatchNormalization  # noqa: E402
from keras_dynamonet.weights import import_checkpoint  # noqa: E402
from keras_dynamonet.weights.layout import keras_variables  # noqa: E402
from keras_dynamonet.weights.pixels import PIXELS  # noqa: E402
from tests.weights.networks import (  # noqa: E402
    NETWORKS,
    channels_last,
    make_network,
    normalised,
    random_clips,
)
from tests.weights.torch_networks import HaraNet, randomise  # noqa: E402

TOLERANCE = 1e-4  # of the largest number of the tensor


def imported(network, path, **kwargs):
    torch.save(network.state_dict(), path)
    return import_checkpoint(path, **kwargs)


def outputs(model, clips, training=False):
    ends = {**model.endpoints, "logits": model.outputs[0]}
    found = keras.Model(model.inputs[0], ends)(clips, training=training)
    return {name: keras.ops.convert_to_numpy(value) for name, value in found.items()}


def assert_equal(model, network, clips, convention, training=False):
    found = outputs(model, clips, training)
    with torch.no_grad():
        expected = network.endpoints(normalised(clips, convention))
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        array = channels_last(tensor)
        error = np.abs(found[name] - array).max() / np.abs(array).max()
        assert error <= TOLERANCE, (name, error)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_endpoint_equals_the_original(name, tmp_path):
    network = make_network(name)
    result = imported(network, tmp_path / "net.pth", num_frames=8, size=32)
    clips = random_clips()
    assert_equal(result.model, network, clips, PIXELS[result.pixels])


def test_equals_the_original_at_full_size(tmp_path):
    network = randomise(
        HaraNet(
            (1, 1, 1, 1),
            (32, 64, 128, 256),
            20,
            16,
            block="bottleneck",
            expansion=2,
            cardinality=8,
        )
    )
    result = imported(network, tmp_path / "net.pth")
    clips = random_clips(frames=16, size=112)
    assert_equal(result.model, network, clips, PIXELS[result.pixels])


@pytest.mark.parametrize("frames, size", [(1, 32), (5, 40), (9, 33)])
def test_odd_clips_are_padded_as_in_the_original(frames, size, tmp_path):
    network = make_network()
    result = imported(network, tmp_path / "net.pth", num_frames=frames, size=size)
    clips = random_clips(frames=frames, size=size)
    assert_equal(result.model, network, clips, PIXELS[result.pixels])


@pytest.mark.parametrize("name", ["resnext", "pre-activation", "r2plus1d_18"])
def test_training_uses_the_same_batch_statistics(name, tmp_path):
    network = make_network(name)
    result = imported(network, tmp_path / "net.pth", num_frames=8, size=32)
    clips = random_clips(batch=4)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.train()
    assert_equal(result.model, network, clips, PIXELS[result.pixels], training=True)
    after = network.state_dict()
    variables = keras_variables(result.model, result.architecture.naming)
    for key, variable in variables.items():
        value = keras.ops.convert_to_numpy(variable)
        if key.endswith("running_mean"):
            np.testing.assert_allclose(value, after[key], rtol=1e-3, atol=1e-4)
        elif key.endswith("running_var"):
            # PyTorch keeps the unbiased variance, Keras the biased: n / (n - 1).
            moved = (after[key] - 0.9 * before[key]).numpy()
            ratio = moved / (value - 0.9 * before[key].numpy())
            assert (ratio > 0.999).all() and (ratio < 1.5).all()
    assert any(isinstance(p, VideoBatchNormalization) for p in _parts(result.model))


def _parts(model):
    return model._flatten_layers()


@pytest.mark.parametrize("pixels", PIXELS)
def test_pixel_conventions_are_built_in(pixels, tmp_path):
    network = make_network()
    path = tmp_path / "net.pth"
    result = imported(network, path, num_frames=4, size=32, pixels=pixels)
    clips = random_clips(frames=4)
    assert_equal(result.model, network, clips, PIXELS[pixels])


def test_minus_mean_keeps_the_range_of_bytes():
    convention = PIXELS["minus-mean"]
    white = (1 - np.array(convention.mean)) / np.array(convention.std)
    np.testing.assert_allclose(white, [255 - 114.7748, 255 - 107.7354, 255 - 99.475])
