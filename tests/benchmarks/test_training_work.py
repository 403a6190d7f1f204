import json

import keras
import pytest
import tensorflow as tf

from benchmarks import training
from benchmarks.artefacts import CLASSES
from benchmarks.race import compare_outputs
from benchmarks.training_work import keras_classifier, keras_dynamonet
from keras_dynamonet import ResNeXt3D
from tests.exporters.networks import TINY


@pytest.fixture
def folder(tmp_path):
    keras.utils.set_random_seed(0)
    network = ResNeXt3D(**TINY, num_classes=CLASSES)
    network.save(tmp_path / "classifier.keras")
    config = {"num_frames": 4, "size": [16, 16]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    # Compiling takes longer than a few steps of a tiny network.
    tf.config.run_functions_eagerly(True)
    yield str(tmp_path)
    tf.config.run_functions_eagerly(False)


def test_a_whole_network_starts_from_the_loss_of_its_classifier(folder):
    outputs = {
        "classifier": keras_classifier(folder, batch=2, threads=1).outputs(),
        "whole": keras_dynamonet(folder, batch=2, threads=1).outputs(),
    }
    assert set(outputs["whole"]) == {"first loss"}
    compare_outputs(outputs, "classifier", training.TOLERANCES, {})
    with pytest.raises(RuntimeError, match="whole: first loss differs"):
        outputs["whole"]["first loss"] *= 1.01
        compare_outputs(outputs, "classifier", training.TOLERANCES, {})
