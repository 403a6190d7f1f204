import re

import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.layers import DynamicMotionFilter
from keras_dynamonet.layers.borders import crop_rim, pad_border
from keras_dynamonet.layers.dynamic_motion_filter import neighbourhoods
from tests import oracles
from tests.helpers import check_layer

FORMS = ("vectorized_map", "grouped", "patches")
NUMPY_MODES = {"replicate": "edge", "reflect": "reflect", "zeros": "constant"}


def random(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("border", NUMPY_MODES)
@pytest.mark.parametrize("filter_channels", (1, 3))
def test_outputs_equal_the_definition(form, border, filter_channels):
    frames, filters = random((2, 3, 6, 7, 3)), random((2, 3, 5, 5, filter_channels), 1)
    outputs = DynamicMotionFilter(border, form)([frames, filters])
    expected = oracles.filter_frames(frames, filters, NUMPY_MODES[border])
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_masks_blend_what_the_filters_make(form):
    frames, filters = random((2, 3, 6, 7, 3)), random((2, 3, 3, 3, 2), 1)
    masks = random((2, 3, 6, 7, 2), 2)
    outputs = DynamicMotionFilter(form=form)([frames, filters, masks])
    expected = sum(
        oracles.filter_frames(frames, filters[..., m : m + 1], "edge")
        * masks[..., m : m + 1]
        for m in range(2)
    )
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-4)


def test_masks_that_do_not_fit_raise():
    message = "There must be a mask for each filter. Received: filters (1, 1, 3, 3, 2)"
    with pytest.raises(ValueError, match=re.escape(message)):
        DynamicMotionFilter().build([(1, 1, 6, 7, 3), (1, 1, 3, 3, 2), (1, 1, 6, 7, 3)])
    for masks in ((1, 2, 6, 7, 2), (1, 1, 7, 6, 2)):
        with pytest.raises(ValueError, match="Masks must have the frames and the size"):
            DynamicMotionFilter().build([(1, 1, 6, 7, 3), (1, 1, 3, 3, 2), masks])


@pytest.mark.parametrize("filter_channels", (1, 3))
def test_gradients_of_the_forms_are_equal(filter_channels):
    frames = tf.constant(random((2, 3, 6, 7, 3)))
    filters = tf.constant(random((2, 3, 3, 3, filter_channels), 1))
    upstream = random(frames.shape, 2)
    gradients = {}
    for form in FORMS:
        with tf.GradientTape() as tape:
            tape.watch([frames, filters])
            outputs = DynamicMotionFilter(form=form)([frames, filters])
            total = tf.reduce_sum(outputs * upstream)
        gradients[form] = tape.gradient(total, [frames, filters])
    for form in ("grouped", "patches"):
        pairs = zip(gradients[form], gradients["vectorized_map"], strict=True)
        for gradient, reference in pairs:
            np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=1e-4)


def test_gradient_to_the_filters_is_the_correlation_with_the_frames():
    frames = tf.constant(random((1, 1, 6, 7, 1)))
    upstream = random(frames.shape, 1)[0, 0, :, :, 0]
    filters = tf.zeros((1, 1, 3, 3, 1))
    with tf.GradientTape() as tape:
        tape.watch(filters)
        outputs = DynamicMotionFilter("zeros")([frames, filters])
        total = tf.reduce_sum(outputs[0, 0, :, :, 0] * upstream)
    padded = np.pad(frames.numpy()[0, 0, :, :, 0], 1)
    expected = [
        [np.sum(upstream * padded[y : y + 6, x : x + 7]) for x in range(3)]
        for y in range(3)
    ]
    gradient = tape.gradient(total, filters)[0, 0, :, :, 0]
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_a_tap_right_of_the_centre_moves_the_picture_left(form):
    row = np.array([1, 2, 3, 4], "float32")
    frames = np.tile(row[:, None], (1, 1, 3, 1, 1))
    filters = np.zeros((1, 1, 3, 3, 1), "float32")
    filters[0, 0, 1, 2] = 1
    outputs = DynamicMotionFilter("replicate", form)([frames, filters])
    np.testing.assert_array_equal(outputs[0, 0, 1, :, 0], [2, 3, 4, 4])


@pytest.mark.parametrize("form", FORMS)
def test_the_identity_kernel_changes_nothing(form):
    frames = random((2, 3, 6, 7, 3))
    filters = np.zeros((2, 3, 5, 5, 1), "float32")
    filters[:, :, 2, 2] = 1
    outputs = DynamicMotionFilter(form=form)([frames, filters])
    np.testing.assert_array_equal(outputs, frames)


@pytest.mark.parametrize("form", ("auto", *FORMS))
@pytest.mark.parametrize("filter_channels", (1, 3))
def test_is_a_sound_layer(form, filter_channels, tmp_path):
    inputs = [random((2, 3, 6, 7, 3)), random((2, 3, 5, 5, filter_channels), 1)]
    check_layer(DynamicMotionFilter, {"form": form}, inputs, tmp_path)


@pytest.mark.parametrize("argument", ("border", "form"))
def test_unknown_choices_raise(argument):
    with pytest.raises(ValueError, match=f"`{argument}` must be one of"):
        DynamicMotionFilter(**{argument: "magic"})


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ((1, 2, 4, 4, 1), "square with an odd size"),
        ((1, 2, 3, 5, 1), "square with an odd size"),
        ((1, 2, 3, 3, 2), "one channel or as many as the frames"),
        ((1, 1, 3, 3, 1), "There must be filters for each frame"),
    ],
)
def test_filters_that_do_not_fit_raise(filters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        DynamicMotionFilter()([np.ones((1, 2, 6, 6, 3)), np.ones(filters)])


@pytest.mark.parametrize("border", NUMPY_MODES)
@pytest.mark.parametrize("size", (0, 1, 3))
def test_borders_are_those_of_numpy(border, size):
    images = random((2, 5, 6, 3))
    pads = [(0, 0), (size, size), (size, size), (0, 0)]
    expected = np.pad(images, pads, mode=NUMPY_MODES[border])
    np.testing.assert_array_equal(pad_border(images, size, border), expected)


def test_crop_rim_undoes_the_border():
    frames = random((2, 3, 5, 6, 3))
    padded = np.pad(frames, [(0, 0), (0, 0), (2, 2), (2, 2), (0, 0)])
    np.testing.assert_array_equal(crop_rim(padded, 2), frames)
    assert crop_rim(frames, 0) is frames


def test_neighbourhoods_are_the_windows_in_row_major_order():
    images = random((2, 6, 7, 3))
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    # Every colour is a plane of its own.
    expected = windows.reshape(2, 4, 5, 3, 9).transpose(0, 3, 1, 2, 4)
    expected = expected.reshape(6, 4, 5, 9)
    np.testing.assert_allclose(neighbourhoods(images, 3), expected, atol=1e-6)
    np.testing.assert_allclose(
        neighbourhoods(images, 3, stride=2), expected[:, ::2, ::2], atol=1e-6
    )
