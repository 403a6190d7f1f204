import dataclasses

import numpy as np
import pytest

from keras_dynamonet.data.mocap.classes import Action
from keras_dynamonet.data.mocap.clips import ClipParameters, draw_times, render_clip

PARAMETERS = ClipParameters(size=16, num_frames=4, fps=12.0, camera="mixed", seed=0)


def times_of(motion, action, num_frames=5, draws=200):
    parameters = dataclasses.replace(PARAMETERS, num_frames=num_frames)
    rng = np.random.default_rng(0)
    return np.array([draw_times(rng, motion, action, parameters) for _ in range(draws)])


def test_times_advance_at_the_drawn_speed(striding):
    times = times_of(striding, Action(speeds=(0.5, 2.0)))
    step = np.diff(times, axis=1) * PARAMETERS.fps
    np.testing.assert_allclose(step, np.broadcast_to(step[:, :1], step.shape))
    assert 0.5 <= step.min() < 0.7
    assert 1.8 < step.max() <= 2


def test_cyclic_motion_starts_at_any_phase(striding):
    starts = times_of(striding, Action())[:, 0] % striding.duration_seconds
    assert np.histogram(starts, 4, (0, 0.8))[0].min() > 25


def test_long_clip_holds_the_whole_action(striding):
    times = times_of(striding, Action(span_seconds=(0.3, 0.5)), num_frames=6)
    assert times[:, 0].max() <= 0.3
    assert times[:, -1].min() >= 0.5


def test_short_clip_lies_within_the_action(striding):
    times = times_of(striding, Action(span_seconds=(0.1, 0.7)), num_frames=3)
    assert times.min() >= 0.1
    assert times.max() <= 0.7


@pytest.mark.parametrize("num_frames", [6, 30])
def test_single_motion_is_not_left_without_need(striding, num_frames):
    motion = dataclasses.replace(striding, cyclic=False)
    times = times_of(motion, Action(span_seconds=(0.1, 0.7)), num_frames)
    inside = (times >= -1e-9) & (times <= motion.duration_seconds + 1e-9)
    if num_frames == 6:
        assert inside.all()
    else:  # longer than the recording: all of it is shown
        assert times[:, 0].max() <= 0
        assert times[:, -1].min() >= motion.duration_seconds


def test_a_clip_depends_on_its_four_keys_only(stand_ins):
    def clip(split="train", motion="walk", index=0, seed=0):
        parameters = dataclasses.replace(PARAMETERS, seed=seed)
        return render_clip(parameters, split, motion, index)

    frames, summary = clip()
    again, same = clip()
    np.testing.assert_array_equal(frames, again)
    assert summary == same
    assert frames.shape == (4, 16, 16, 3)
    for other in ({"split": "test"}, {"motion": "run"}, {"index": 1}, {"seed": 1}):
        assert (clip(**other)[0] != frames).any()


def test_a_clip_does_not_depend_on_the_size(stand_ins):
    _, small = render_clip(PARAMETERS, "train", "walk", 0)
    larger = dataclasses.replace(PARAMETERS, size=24)
    _, large = render_clip(larger, "train", "walk", 0)
    assert small == large
