"""Requests that TensorFlow Serving answers before the first client comes."""

import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
_logger = logging.getLogger(__name__)


def write_warm_up(
    saved_model: Path, examples: Mapping[str, Mapping[str, np.ndarray]]
) -> int:
    """Writes one warm-up request for each signature into a SavedModel.

    Args:
        saved_model: Folder of the SavedModel.
        examples: Inputs by name, by signature.

    Returns:
        Number of requests written: 0 without the extra `serving`, which holds the
        messages of TensorFlow Serving; then a line in the log says so.
    """
    if importlib.util.find_spec("tensorflow_serving") is None:
        _logger.warning(
            "No warm-up requests were written, so that the first request will be slow: "
            'they need pip install "keras-dynamonet[serving]".'
        )
        return 0
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path = saved_model / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in examples.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())
    return len(examples)
