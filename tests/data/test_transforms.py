import numpy as np
import pytest

from keras_dynamonet.data.transforms import (
    Augmentation,
    Transform,
    apply_transform,
    centre_crop_resize,
    draw_transform,
    resize_short_side,
    uniform_crops,
)


def coordinates(height: int, width: int, frames: int = 3) -> np.ndarray:
    """Pixels that know their place: red is the row, green the column, blue the time."""
    clip = np.zeros((frames, height, width, 3), np.uint8)
    clip[..., 0] = np.arange(height)[:, None]
    clip[..., 1] = np.arange(width)
    clip[..., 2] = np.arange(frames)[:, None, None]
    return clip


def test_draw_is_a_function_of_the_generator():
    draws = [
        draw_transform(np.random.default_rng(seed), Augmentation(), 64)
        for seed in (3, 3, 4)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_draws_cover_what_may_vary():
    rng = np.random.default_rng(0)
    augmentation = Augmentation(scales=(1.0, 0.5))
    draws = [draw_transform(rng, augmentation, 64) for _ in range(300)]
    assert {draw.short_side for draw in draws} == {64, 128}
    assert {draw.position for draw in draws} == {
        (0.0, 0.0),
        (0.0, 1.0),
        (1.0, 0.0),
        (1.0, 1.0),
        (0.5, 0.5),
    }
    assert 100 < sum(draw.flip for draw in draws) < 200
    for name, middle, reach in [
        ("brightness", 0.0, 0.1),
        ("contrast", 1.0, 0.2),
        ("saturation", 1.0, 0.2),
    ]:
        values = np.array([getattr(draw, name) for draw in draws]) - middle
        assert np.abs(values).max() <= reach and np.ptp(values) > 1.8 * reach


def test_no_augmentation_is_the_centre_crop():
    draw = draw_transform(np.random.default_rng(0), Augmentation.none(), 64)
    assert draw == Transform(size=64, short_side=64)


def test_switching_a_part_off_leaves_the_others():
    for seed in range(20):
        full = draw_transform(np.random.default_rng(seed), Augmentation(), 64)
        part = draw_transform(np.random.default_rng(seed), Augmentation(flip=False), 64)
        assert not part.flip and part.short_side == full.short_side
        assert (part.position, part.contrast) == (full.position, full.contrast)


@pytest.mark.parametrize(
    ("position", "top", "left"),
    [((0, 0), 0, 0), ((0, 1), 0, 34), ((1, 0), 10, 0), ((1, 1), 10, 34)],
)
def test_corner_crops_are_the_same_in_every_frame(position, top, left):
    clip = coordinates(40, 64)
    transform = Transform(size=30, short_side=40, position=position)
    cropped = apply_transform(clip, transform)
    np.testing.assert_array_equal(cropped, clip[:, top : top + 30, left : left + 30])


@pytest.mark.parametrize("position", [(0, 0), (0, 1), (1, 0), (0.5, 0.5)])
def test_crops_of_what_is_enlarged_show_the_same_part(position):
    ramp = np.linspace(0, 255, 40 * 64).reshape(40, 64).astype(np.uint8)
    clip = np.repeat(np.stack([ramp, ramp[::-1], ramp[:, ::-1]], -1)[None], 2, axis=0)
    transform = Transform(size=40, short_side=80, position=position)
    found = apply_transform(clip, transform)
    whole = apply_transform(resize_short_side(clip, 80), transform)
    assert found.shape == (2, 40, 40, 3)
    # Next to the edge of the crop bicubic weights have fewer neighbours.
    assert np.abs(found.astype(int) - whole)[:, 2:-2, 2:-2].max() <= 2


def test_flip_mirrors_columns_and_nothing_else():
    clip = coordinates(8, 8)
    flipped = apply_transform(clip, Transform(size=8, short_side=8, flip=True))
    np.testing.assert_array_equal(flipped, clip[:, :, ::-1])
    assert flipped.flags.c_contiguous


def test_order_of_frames_never_changes():
    rng = np.random.default_rng(0)
    for _ in range(50):
        transform = draw_transform(rng, Augmentation(saturation=0.0), 3)
        times = apply_transform(60 + 30 * coordinates(3, 3), transform)[..., 2]
        assert np.all(np.diff(times.mean(axis=(1, 2))) > 0)


def test_colour_jitter_against_the_formula():
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (2, 8, 8, 3), np.uint8)
    changed = apply_transform(
        clip,
        Transform(8, 8, brightness=0.05, contrast=1.2, saturation=0.7),
    )
    pixels = clip.astype(np.float64)
    luma = pixels @ [0.299, 0.587, 0.114]
    mixed = 0.7 * pixels + 0.3 * luma[..., None]
    expected = np.clip((mixed - 127.5) * 1.2 + 127.5 + 0.05 * 255, 0, 255)
    # Rounding, and the weights in OpenCV's fixed point.
    assert np.abs(changed - expected).max() < 1
    assert np.abs(changed - expected).mean() < 0.3


def test_saturation_leaves_grey_alone():
    clip = np.full((2, 8, 8, 3), 77, np.uint8)
    changed = apply_transform(clip, Transform(8, 8, saturation=1.9))
    np.testing.assert_array_equal(changed, clip)


def test_resize_keeps_the_picture():
    clip = np.repeat(np.repeat(coordinates(10, 20), 4, axis=1), 4, axis=2) * 10
    small = resize_short_side(clip, 10)
    assert small.shape == (3, 10, 20, 3)
    assert np.abs(small.astype(int) - 10 * coordinates(10, 20)).mean() < 3
    assert resize_short_side(clip, 40) is clip


def test_resize_smooths_instead_of_dropping_pixels():
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, :, ::2] = 200
    inside = resize_short_side(stripes, 16)[:, 2:-2, 2:-2].astype(int)
    assert np.abs(inside - 100).max() < 5


def test_centre_crop_resize_of_wide_and_tall():
    for shape in ((3, 20, 40, 3), (3, 40, 20, 3)):
        assert centre_crop_resize(np.zeros(shape, np.uint8), 10).shape == (3, 10, 10, 3)
    clip = coordinates(8, 20)
    np.testing.assert_array_equal(centre_crop_resize(clip, 8), clip[:, :, 6:14])


def test_uniform_crops_reach_both_ends():
    wide = coordinates(8, 20)
    crops = uniform_crops(wide, 8, 3)
    assert crops.shape == (3, 3, 8, 8, 3)
    assert crops[:, 0, 0, 0, 1].tolist() == [0, 6, 12]
    tall = uniform_crops(coordinates(20, 8), 8, 3)
    assert tall[:, 0, 0, 0, 0].tolist() == [0, 6, 12]
    np.testing.assert_array_equal(uniform_crops(wide, 8, 1)[0], wide[:, :, 6:14])
    with pytest.raises(ValueError, match="`num_crops` must be at least 1"):
        uniform_crops(wide, 8, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scales": ()}, "`scales` must be a non-empty list"),
        ({"scales": (1.5,)}, "`scales` must be a non-empty list of fractions"),
        ({"brightness": -0.1}, "`brightness` must lie in"),
        ({"contrast": 2.0}, "`contrast` must lie in"),
        ({"saturation": float("nan")}, "`saturation` must lie in"),
    ],
)
def test_bad_augmentations(arguments, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**arguments)
