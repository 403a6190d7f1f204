import keras
import numpy as np
import tensorflow as tf

from benchmarks.artefacts import _write_saved_model
from keras_dynamonet import ResNeXt3D
from keras_dynamonet.exporters.c_api_client import read_meta_graph
from tests.exporters.networks import TINY, moving_clips


def test_the_timed_saved_model_is_the_one_that_is_exported(tmp_path):
    keras.utils.set_random_seed(0)
    classifier = ResNeXt3D(**TINY, num_classes=7)
    clips = moving_clips(3, 4, 16)
    for _ in range(2):  # once more over the first one
        _write_saved_model(classifier, clips, tmp_path)
    meta_graph = read_meta_graph(tmp_path / "model")
    # Flat, as `keras_dynamonet.exporters.saved_model_graph` writes it.
    operators = {node.op for node in meta_graph.graph_def.node}
    assert not [name for name in operators if name.endswith("PartitionedCall")]
    assert set(meta_graph.signature_def) == {"serving_default", "serve_float"}
    module = tf.saved_model.load(tmp_path / "model")
    logits = module.signatures["serving_default"](clip=tf.constant(clips))["logits"]
    expected = classifier(clips, training=False)
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=1e-3)
