"""What goes into an exported network and what comes out, by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

from keras_dynamonet.errors import UsageError, UserError
from keras_dynamonet.models.dynamonet import DynamoNet

if TYPE_CHECKING:
    import tensorflow as tf

INPUT = "clip"
OUTPUTS = ("probabilities", "logits", "embedding", "motion_filters", "next_frame")
CLASS_OUTPUTS = OUTPUTS[:2]
"""Those that a network has only if it was trained on labels."""

_PIXELS = 4 * 16 * 112 * 112


@dataclass(frozen=True)
class ExportSignature:
    """Names, shapes and types of an artefact.

    The input is always `clip`, uint8 RGB of T frames; scaling and normalisation are
    inside. The outputs are float32:

    - `probabilities` and `logits` `(batch, num_classes)`;
    - `embedding` `(batch, features + T * k * k * channels)`: the pooled feature of the
      backbone, then the dynamic motion representation;
    - `motion_filters` `(batch, T, k, k, channels)`: 1 channel, 3 for a kernel a colour,
      or one for each segment;
    - `next_frame` `(batch, height, width, 3)`: the forecast of frame T + 1, near
      [0, 1].

    Args:
        num_frames: T.
        height: Height of the frames in pixels.
        width: Width of the frames in pixels.
        outputs: Names of the outputs, in order.
        batch: Clips in a batch, or `None` for any number.

    Raises:
        UserError: If an output is unknown, given twice, or there is none.

    Example:

    >>> ExportSignature(16, 64, 64, ("probabilities",)).clip_shape
    (None, 16, 64, 64, 3)
    """

    num_frames: int
    height: int
    width: int
    outputs: tuple[str, ...] = OUTPUTS
    batch: int | None = None

    def __post_init__(self):
        object.__setattr__(self, "outputs", check_outputs(self.outputs))

    @classmethod
    def of(
        cls,
        model: DynamoNet,
        outputs: Sequence[str] = OUTPUTS,
        batch: int | None = None,
    ) -> "ExportSignature":
        """The signature of a network."""
        return cls(model.num_frames, *model.frame_size, tuple(outputs), batch)

    @property
    def clip_shape(self) -> tuple[int | None, int, int, int, int]:
        """`(batch, T, height, width, 3)`."""
        return (self.batch, self.num_frames, self.height, self.width, 3)

    def clip_spec(self, dtype: str = "uint8") -> "tf.TensorSpec":
        """The input for TensorFlow."""
        import tensorflow as tf

        return tf.TensorSpec(self.clip_shape, dtype, name=INPUT)


def check_outputs(outputs: Sequence[str]) -> tuple[str, ...]:
    """The names as a tuple.

    Raises:
        UsageError: If a name is unknown or comes twice, or there is none.

    Example:

    >>> check_outputs(["logits", "embedding"])
    ('logits', 'embedding')
    """
    outputs = tuple(outputs)
    unknown = [name for name in outputs if name not in OUTPUTS]
    if unknown:
        raise UsageError(
            f"No output is called {unknown[0]!r}. Choose from: {', '.join(OUTPUTS)}."
        )
    if not outputs or len(set(outputs)) != len(outputs):
        raise UsageError(
            "Name each output once, and at least one. "
            f"Received: {', '.join(outputs) or 'none'}."
        )
    return outputs


def compute_outputs(model: DynamoNet, clip, outputs: Sequence[str] = OUTPUTS) -> dict:
    """The named outputs of a network, as tensors.

    Args:
        model: The network, folded or not.
        clip: `(batch, T, height, width, 3)`, in [0, 255].
        outputs: Which ones.

    Returns:
        A dictionary in the order of `outputs`.
    """
    result = model(clip, training=False)
    last = model.num_frames - 1

    def next_frame():
        # Of all T predictions this is the only one whose target nobody has seen.
        parts = [ops.cast(clip, "float32") / 255.0, result["motion_filters"]]
        if "segment_masks" in result:
            parts.append(result["segment_masks"])
        return model.frame_filter([part[:, last:] for part in parts])[:, 0]

    def embedding():
        parts = [ops.cast(result[name], "float32") for name in ("feature", "dmr")]
        return ops.concatenate(parts, axis=-1)

    compute = {
        "probabilities": lambda: ops.softmax(result["logits"]),
        "logits": lambda: result["logits"],
        "embedding": embedding,
        "motion_filters": lambda: result["motion_filters"],
        "next_frame": next_frame,
    }
    return {name: compute[name]() for name in check_outputs(outputs)}


@dataclass(frozen=True)
class InferenceFunction:
    """A TensorFlow function of one clip with the weights as constants.

    Calling it with a batch of clips gives a dictionary of outputs.

    Args:
        signature: What goes in and comes out.
        concrete: The function itself, for converters: from `clip` to a dictionary.
    """

    signature: ExportSignature
    concrete: "tf.types.experimental.ConcreteFunction"

    def __call__(self, clip) -> dict:
        values = self.concrete(clip)
        return {name: values[name] for name in self.signature.outputs}

    @property
    def graph_def(self):
        """The graph as a `GraphDef`; its nodes `clip` and the outputs go by name."""
        return self.concrete.graph.as_graph_def()


def make_inference_function(
    model: DynamoNet,
    outputs: Sequence[str] = OUTPUTS,
    *,
    batch: int | None = None,
    dtype: str = "uint8",
) -> InferenceFunction:
    """Freezes a network into one TensorFlow graph.

    Args:
        model: The network, best folded for the target.
        outputs: Names of the outputs.
        batch: Clips in a batch, or `None` for any number.
        dtype: Type of the input, `"uint8"` or `"float32"`, in [0, 255] either way.

    Returns:
        The function. Its graph holds no variables.

    Raises:
        UserError: If an output is unknown or the backend is not TensorFlow.

    Example:

    >>> model = DynamoNet.from_preset("nano-16f", num_classes=4, size=32)
    >>> function = make_inference_function(model, ["probabilities"])
    >>> import tensorflow as tf
    >>> function(tf.zeros((2, 16, 32, 32, 3), "uint8"))["probabilities"].shape
    TensorShape([2, 4])
    """
    require_tensorflow_backend()
    import tensorflow as tf

    signature = ExportSignature.of(model, outputs, batch)

    weights = [(variable, variable.numpy()) for variable in model.variables]

    @tf.function(input_signature=[signature.clip_spec(dtype)], autograph=False)
    def infer(clip):
        # The one operation on bytes: some runtimes have no other.
        pixels = tf.cast(clip, tf.float32)
        # Constants from the start: freezing a finished graph, TensorFlow's own way,
        # takes a multiple of the time and memory.
        constants = [
            (variable, tf.constant(value, name=variable.path))
            for variable, value in weights
        ]
        with keras.StatelessScope(state_mapping=constants):
            values = compute_outputs(model, pixels, outputs)
        # The name of the node serves as the name of the output.
        return {name: tf.identity(values[name], name=name) for name in values}

    return InferenceFunction(signature, infer.get_concrete_function())


def make_reference(
    model: DynamoNet,
    outputs: Sequence[str] = OUTPUTS,
    *,
    batch_size: int | None = None,
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Keras itself as a function from clips to outputs, what artefacts must equal.

    Args:
        model: The network as trained.
        outputs: Names of the outputs.
        batch_size: Clips computed at a time. Default: 4 of 16 frames of 112 x 112
            pixels, of others as many pixels.

    Returns:
        A function from clips `(n, T, height, width, 3)` to a dictionary of arrays with
        n rows.
    """
    outputs = check_outputs(outputs)
    if batch_size is None:
        # One operation after the other takes a third of a second however few the
        # clips are; many large ones take memory.
        height, width = model.frame_size
        batch_size = max(1, _PIXELS // (model.num_frames * height * width))

    def reference(clips):
        parts = []
        for start in range(0, len(clips), batch_size):
            batch = ops.convert_to_tensor(clips[start : start + batch_size])
            values = compute_outputs(model, batch, outputs)
            parts.append({k: ops.convert_to_numpy(v) for k, v in values.items()})
        return {name: np.concatenate([p[name] for p in parts]) for name in outputs}

    return reference


def require_tensorflow_backend() -> None:
    """Checks that Keras runs on TensorFlow, which writes all artefacts.

    Raises:
        UserError: If it does not.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise UserError(
            f"Exports need Keras on TensorFlow, but it runs on {backend}. The same "
            ".keras file loads on both: set KERAS_BACKEND=tensorflow and run again."
        )
