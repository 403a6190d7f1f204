from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_dynamonet import DynamoNet, ResNeXt3D
from keras_dynamonet.models.one_batch_predict import OneBatchPredict

CLIPS = np.random.default_rng(0).integers(0, 256, (3, 4, 16, 16, 3), "uint8")


@pytest.fixture(scope="module", params=["network", "classifier"])
def model(request):
    config = {"num_frames": 4, "size": 16, "cardinality": 4, "widths": (8, 8, 8, 8)}
    if request.param == "classifier":
        return ResNeXt3D(10, block="bottleneck", num_classes=2, **config)
    return DynamoNet(ResNeXt3D(10, block="bottleneck", **config), 2)


@pytest.fixture
def batches(model, monkeypatch):
    """Numbers of clips that went without a dataset."""
    seen, on_batch = [], model.predict_on_batch

    def spy(clips):
        seen.append(len(clips))
        return on_batch(clips)

    monkeypatch.setattr(model, "predict_on_batch", spy)
    return seen


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_one_batch_is_predicted_as_keras_does(model, batches, dtype):
    clips = CLIPS.astype(dtype)
    found = model.predict(clips, verbose=0)
    assert batches == [3]
    expected = keras.Model.predict(model, clips, verbose=0)
    found, expected = keras.tree.flatten(found), keras.tree.flatten(expected)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (type(one), one.dtype) == (type(other), other.dtype)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_more_clips_than_a_batch_are_joined(model, batches):
    found = model.predict(CLIPS, batch_size=2, verbose=0)
    assert not batches
    assert {len(output) for output in keras.tree.flatten(found)} == {3}


def test_callbacks_are_told_of_the_batch(model, batches):
    told = []
    watcher = keras.callbacks.LambdaCallback()
    watcher.on_predict_batch_end = lambda batch, logs=None: told.append(batch)
    model.predict(CLIPS, verbose=0, callbacks=[watcher])
    assert (told, batches) == ([0], [])


@pytest.mark.parametrize(
    ("clips", "options"),
    [
        (CLIPS, {"verbose": 1}),
        (CLIPS, {"verbose": 0, "steps": 1}),
        (CLIPS.astype("float64"), {"verbose": 0}),
    ],
)
def test_the_rest_is_left_to_keras(model, batches, clips, options):
    model.predict(clips, **options)
    assert not batches


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_go_their_own_way(model, batches, backend, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    model.predict(CLIPS, verbose=0)
    assert not batches


def test_steps_of_subclasses_get_tensors():
    class Network(OneBatchPredict, keras.Model):
        def call(self, clips):
            return keras.ops.mean(clips, axis=(1, 2, 3, 4))

        def predict_step(self, data):
            assert keras.ops.is_tensor(data[0])
            return super().predict_step(data)

    network = Network()
    network.compile(run_eagerly=True)
    found = network.predict(CLIPS.astype("float32"), verbose=0)
    np.testing.assert_allclose(found, CLIPS.mean(axis=(1, 2, 3, 4)), rtol=1e-5)


@pytest.mark.parametrize(("replicas", "way"), [(1, "batch"), (2, "dataset")])
def test_replicas_get_their_parts_from_a_dataset(replicas, way):
    class Model:
        distribute_strategy = SimpleNamespace(num_replicas_in_sync=replicas)

        def predict(self, *_):
            return "dataset"

        def predict_on_batch(self, clips):
            return "batch"

    class Network(OneBatchPredict, Model):
        pass

    assert Network().predict(CLIPS, verbose=0) == way
