"""INT8 for the parts of a TFLite file that bear it.

TensorFlow's converter cannot do this here: its calibration reads the inputs of an
operator after running it, when additions that work in place have overwritten them, so
that a convolution before a shortcut gets the range of the sum; and its quantiser leaves
some convolutions in float without a word. So the float file is run in LiteRT with every
tensor kept, and rewritten operator by operator.

INT8 are the backbone and all other convolutions that were trained: those of the motion
descriptor, of the generator of filters and of the maps that filters are solved on. In
float32 stay all sums, those of the residual blocks above all (a step of eight bits
would be lost at every one of them, and no time is gained), what no convolution reads
(filters that are not standardised yet: a tap varies by little in their range), the
normalisation of pixels, the normal equations of the filters (products of eight-bit
numbers do not fit eight bits, and their solution multiplies what rounding leaves), the
filtered frames, whose eight bits are the result itself, and the dense layers outside
the backbone. A convolution that cuts frames into patches has no weights and stays with
what it cuts for.
"""

from collections.abc import Mapping

import numpy as np

from keras_dynamonet.exporters.tflite_editor import GraphEditor
from keras_dynamonet.exporters.tflite_operators import belongs_to, list_operators

Ranges = Mapping[int, tuple[float, float]]

# Operators that move numbers without changing them: their results keep the scale.
_MOVES = (
    "EXPAND_DIMS",
    "MAX_POOL_2D",
    "PAD",
    "RESHAPE",
    "SLICE",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TRANSPOSE",
)
_WITH_WEIGHTS = ("CONV_2D", "FULLY_CONNECTED")
_BETWEEN = (*_MOVES, "CONCATENATION", "MEAN", "MUL")

# Clips, about, whose extremes make one sample of a range. Of single clips the mean cuts
# off too much, of all clips together a rare extreme widens the steps of all.
_CLIPS_A_SAMPLE = 16

# Ranges below it mean "always zero". A scale as small as theirs overflows the integer
# arithmetic of the runtimes, which then refuse the file.
_LEAST_RANGE = 1e-6
# XNNPACK refuses convolutions from 256 on: products of input and weight must not be
# that much coarser than the output.
_LARGEST_RATIO = 128


def open_with_all_tensors(content: bytes):
    """An interpreter of a file that keeps the result of every operator.

    Without XNNPACK: delegates keep their tensors to themselves, and memory shared
    between tensors would show what another operator has left there.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=2,
    )
    interpreter.allocate_tensors()
    return interpreter


def measure_ranges(
    content: bytes, clips: np.ndarray, uncut: tuple[str, ...] = ()
) -> dict[int, tuple[float, float]]:
    """Runs a float file on clips and notes the values of what it computes.

    Args:
        content: The file, float32.
        clips: uint8 `(n, T, height, width, 3)`.
        uncut: Names of layers whose results have the extremes of all clips for a
            range, because a maximum picks just those.

    Returns:
        Smallest and largest value by index of the tensor, each a mean over groups of
        about 16 clips; a file with a fixed batch has no smaller groups than that.
    """
    interpreter = open_with_all_tensors(content)
    clip = interpreter.get_input_details()[0]
    computed = {
        int(index): operator.name
        for operator in list_operators(content)
        for index, type_ in zip(operator.outputs, operator.output_types, strict=True)
        if type_ == "FLOAT32"
    }
    batch = int(clip["shape"][0])
    # The last clips fill up a fixed batch.
    rows = np.arange(-(-len(clips) // batch) * batch) % len(clips)
    extremes = {index: [] for index in computed}  # of each batch
    for start in range(0, len(rows), batch):
        interpreter.set_tensor(clip["index"], clips[rows[start : start + batch]])
        interpreter.invoke()
        for index in computed:
            values = interpreter.get_tensor(index)
            extremes[index].append((float(values.min()), float(values.max())))
    samples = max(1, round(len(rows) / _CLIPS_A_SAMPLE))
    return {
        index: _mean_range(extremes[index], 1 if belongs_to(name, uncut) else samples)
        for index, name in computed.items()
    }


def _mean_range(extremes, samples):
    """The mean over groups of what each reaches from zero."""
    groups = np.array_split(np.array(extremes), min(samples, len(extremes)))
    low = np.mean([min(0.0, group[:, 0].min()) for group in groups])
    high = np.mean([max(0.0, group[:, 1].max()) for group in groups])
    return float(low), float(high)


def quantise(content: bytes, ranges: Ranges, layers: tuple[str, ...]) -> bytes:
    """Rewrites the operators of some layers to INT8.

    Activations have one scale and zero point a tensor; weights are symmetric with one
    scale for each filter; biases are INT32. Where INT8 meets float32, `QUANTIZE` and
    `DEQUANTIZE` operators are added. Operators with float constants other than weights
    stay in float32.

    Args:
        content: The float file.
        ranges: From :func:`measure_ranges`.
        layers: Names of layers, see
            :func:`~keras_dynamonet.exporters.tflite_operators.belongs_to`.

    Returns:
        The quantised file. Inputs and outputs keep their types.
    """
    editor = GraphEditor(content)
    operators = editor.take_operators()
    chosen = _choose(
        operator
        for operator in operators
        if belongs_to(operator.name, layers) and _is_computed(editor, operator)
    )
    for operator in operators:
        if operator.outputs not in chosen:
            editor.keep_in_float(operator)
            continue
        inputs = [
            editor.as_int8(tensor, *_parameters(ranges[tensor]))
            if tensor in ranges
            else tensor
            for tensor in operator.inputs
        ]
        if operator.kind in _MOVES:
            scale, zero_point = editor.parameters(inputs[0])
        else:
            scale, zero_point = _parameters(ranges[operator.outputs[0]])
        if operator.kind == "CONCATENATION":
            # The kernel copies codes: parts and whole must share one scale.
            shared = {editor.parameters(tensor) for tensor in inputs}
            if len(shared) == 1:
                scale, zero_point = shared.pop()
            inputs = [editor.rescale(tensor, scale, zero_point) for tensor in inputs]
        if operator.kind in _WITH_WEIGHTS:
            inputs[1:], product = _quantise_weights(editor, operator, inputs[0])
            limits = ranges[operator.outputs[0]]
            scale, zero_point = _parameters(limits, product / _LARGEST_RATIO)
        editor.add_int8(operator, inputs, scale, zero_point)
    return editor.finish()


def _choose(candidates):
    """The results that are to be INT8: of convolutions, and of all before the next one.

    What no convolution reads would be rounded for nothing: filters that are still to
    be standardised, sums on their way to the mean, a shortcut.
    """
    chosen, read = set(), set()
    for operator in reversed(list(candidates)):
        if operator.kind in _WITH_WEIGHTS:
            read.add(operator.inputs[0])
        elif operator.kind in _BETWEEN and operator.outputs[0] in read:
            read.update(operator.inputs)
        else:
            continue
        chosen.add(operator.outputs)
    return chosen


def _is_computed(editor, operator):
    """Whether the numbers that go in are results of other operators."""
    inputs = operator.inputs[:1] if operator.kind in _WITH_WEIGHTS else operator.inputs
    return operator.output_types == ("FLOAT32",) and not any(
        editor.is_float_constant(tensor) for tensor in inputs
    )


def _parameters(limits, least_scale=0.0):
    """Scale and zero point of a range; zero has an exact code, which padding needs."""
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    if high - low < _LEAST_RANGE:
        low, high = -1.0, 1.0
    scale = float(np.float32(max((high - low) / 255, least_scale)))
    return scale, int(np.clip(round(-128 - low / scale), -128, 127))


def _quantise_weights(editor, operator, image):
    """Weights and bias in integers, and the coarsest product of input and weight."""
    kernel = editor.constant(operator.inputs[1])
    filters = kernel.shape[0]
    has_bias = len(operator.inputs) > 2 and operator.inputs[2] >= 0
    bias = editor.constant(operator.inputs[2]) if has_bias else np.zeros(filters, "f4")
    image_scale = editor.parameters(image)[0]
    scales = np.abs(kernel.reshape(filters, -1)).max(axis=1) / 127
    # A filter of zeros takes a scale that cannot overflow; so does one of almost zeros
    # whose bias would not fit 32 bits.
    scales[scales == 0] = scales.max() or 1.0
    scales = np.maximum(scales, np.abs(bias) / (image_scale * 2**30)).astype("float32")
    codes = np.rint(kernel / scales.reshape(-1, *[1] * (kernel.ndim - 1)))
    kernel_tensor = editor.add_constant(
        operator.inputs[1], np.clip(codes, -127, 127).astype("int8"), scales
    )
    bias_scales = (scales * np.float32(image_scale)).astype("float32")
    bias_tensor = editor.add_constant(
        operator.inputs[2] if has_bias else operator.inputs[1],
        np.rint(bias / bias_scales).astype("int32"),
        bias_scales,
    )
    return [kernel_tensor, bias_tensor], float(bias_scales.max())
