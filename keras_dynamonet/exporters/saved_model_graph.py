"""The graph of a SavedModel: one network, its weights once, several ways in and out.

```
clip (uint8) -> cast -> pixels (float32) -> network -> outputs
frames (JPEG) -> decode -> cast ----------> network, same weights -> outputs
```

The graph is flat, without functions but those of the loop that decodes pictures:
TensorFlow copies its library of functions in every pass of its optimiser, with the
weights that are in them. A server loads a flat graph in a third of the time and starts
to answer in half.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dynamonet.exporters.encoded_frames import decode_clips
from keras_dynamonet.exporters.signature import (
    CLASS_OUTPUTS,
    INPUT,
    OUTPUTS,
    InferenceFunction,
)

if TYPE_CHECKING:
    import tensorflow as tf

FRAMES = "frames"
FRAME_OUTPUTS = ("next_frame", "motion_filters")


def write_saved_model(
    path: Path,
    network: InferenceFunction,
    outputs: Sequence[str] = OUTPUTS,
    signatures: Collection[str] | None = None,
) -> None:
    """Writes a SavedModel with the signatures of :func:`export_saved_model`.

    Args:
        path: The folder to make.
        network: The frozen network, from float32 clips to the outputs of all
            `signatures`.
        outputs: Those of `serving_default` and `serve_float`.
        signatures: Names of the signatures to write. Default: all.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    v1, signature = tf.compat.v1, network.signature
    network_def, found = network.graph_def, network.signature.outputs
    with tf.Graph().as_default() as graph:
        clip = v1.placeholder("uint8", signature.clip_shape, name=INPUT)
        # A request gives either the bytes or, in place of this node, the numbers.
        pixels = v1.placeholder_with_default(
            tf.cast(clip, "float32"), signature.clip_shape, name="pixels"
        )
        of_pixels = _import(network_def, found, pixels, "network")
        frames = v1.placeholder("string", (None, signature.num_frames), name=FRAMES)
        decoded = decode_clips(frames, signature.height, signature.width)
        decoded = tf.cast(decoded, "float32")
        of_frames = _import(
            network_def, found, decoded, "network_of_frames", weights="network"
        )
        document = saved_model_pb2.SavedModel(saved_model_schema_version=1)
        meta_graph = document.meta_graphs.add()
        meta_graph.meta_info_def.tags.append("serve")
        meta_graph.meta_info_def.tensorflow_version = tf.__version__
        meta_graph.graph_def.CopyFrom(graph.as_graph_def())
        for name, inputs, values, chosen in (
            ("serving_default", {INPUT: clip}, of_pixels, outputs),
            ("serve_float", {INPUT: pixels}, of_pixels, outputs),
            ("classify_bytes", {FRAMES: frames}, of_frames, CLASS_OUTPUTS),
            ("embed", {INPUT: clip}, of_pixels, ("embedding",)),
            ("predict_frames", {INPUT: clip}, of_pixels, FRAME_OUTPUTS),
        ):
            if signatures is not None and name not in signatures:
                continue
            definition = meta_graph.signature_def[name]
            definition.method_name = "tensorflow/serving/predict"
            _describe(inputs, definition.inputs)
            _describe({output: values[output] for output in chosen}, definition.outputs)
    path.mkdir()
    (path / "saved_model.pb").write_bytes(document.SerializeToString())


def _describe(tensors, infos):
    """Fills the description of the inputs or outputs of a signature."""
    for name, tensor in tensors.items():
        infos[name].name = tensor.name
        infos[name].dtype = tensor.dtype.as_datatype_enum
        infos[name].tensor_shape.CopyFrom(tensor.shape.as_proto())


def _import(
    network_def, outputs, pixels, scope, weights=None
) -> Mapping[str, "tf.Tensor"]:
    """Adds the network to the current graph; `weights` names an earlier scope."""
    import tensorflow as tf

    mapped = {f"{INPUT}:0": pixels}
    if weights is not None:
        graph = tf.compat.v1.get_default_graph()
        read = {name for node in network_def.node for name in node.input}
        for node in network_def.node:
            if node.op == "Const" and node.name in read:
                constant = graph.get_tensor_by_name(f"{weights}/{node.name}:0")
                mapped[f"{node.name}:0"] = constant
        without = tf.compat.v1.GraphDef()
        without.versions.CopyFrom(network_def.versions)
        without.library.CopyFrom(network_def.library)
        without.node.extend(node for node in network_def.node if node.op != "Const")
        network_def = without
    values = tf.graph_util.import_graph_def(
        network_def,
        input_map=mapped,
        return_elements=[f"{name}:0" for name in outputs],
        name=scope,
    )
    return dict(zip(outputs, values, strict=True))
