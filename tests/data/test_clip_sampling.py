from types import SimpleNamespace

import numpy as np
import pytest

from keras_dynamonet.data.clip_sampling import (
    ClipSpec,
    centred_start,
    clip_times,
    count_starts,
    random_start,
    uniform_starts,
)
from keras_dynamonet.data.video_file import VideoTooShortError


def video(num_frames: int, fps: float = 10.0) -> SimpleNamespace:
    """A video whose frame k is on display in [k, k + 1) / fps."""
    return SimpleNamespace(path="a.mp4", fps=fps, duration_seconds=num_frames / fps)


def frames_of(times: np.ndarray, fps: float = 10.0) -> list[int]:
    """The source frames on display at the times."""
    return np.floor(np.asarray(times) * fps + 1e-9).astype(int).tolist()


def test_consecutive_frames():
    spec = ClipSpec(num_frames=4, size=8)
    assert count_starts(video(20), spec) == 16
    assert frames_of(clip_times(video(20), spec, 0.3)) == [3, 4, 5, 6, 7]


def test_stride_counts_source_frames():
    spec = ClipSpec(num_frames=4, size=8, stride=3)
    assert count_starts(video(20), spec) == 8  # 0 ... 7, as 7 + 4 * 3 = 19
    assert frames_of(clip_times(video(20), spec, 0.7)) == [7, 10, 13, 16, 19]


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (10.0, [0, 1, 2, 3]),
        (5.0, [0, 2, 4, 6]),
        (2.5, [0, 4, 8, 12]),
        (20.0, [0, 1, 1, 2]),  # faster than the source: frames repeat
        (29.97, [0, 0, 1, 1]),
    ],
)
def test_fps_whatever_the_source_has(fps, expected):
    spec = ClipSpec(num_frames=3, size=8, fps=fps)
    assert frames_of(clip_times(video(20), spec, 0.0)) == expected


def test_nearly_equal_rates_repeat_no_frame():
    spec = ClipSpec(num_frames=16, size=8, fps=30.0)
    source = video(300, fps=29.97)
    times = clip_times(source, spec, 100 / 29.97)
    assert frames_of(times, 29.97) == list(range(100, 117))


def test_clip_as_long_as_the_video_is_not_short():
    spec = ClipSpec(num_frames=16, size=8, fps=12.0, short_videos="skip")
    # Containers round the duration, here down by a hundredth of a frame.
    source = SimpleNamespace(path="a.mp4", fps=12.0, duration_seconds=1.416016)
    assert count_starts(source, spec) == 1
    assert frames_of(clip_times(source, spec, 0.0), 12.0) == list(range(17))


@pytest.mark.parametrize("num_frames", [5, 6, 7, 30])
@pytest.mark.parametrize("fps", [None, 4.0, 10.0, 13.0])
def test_random_starts_reach_all_places_and_stay_inside(num_frames, fps):
    spec = ClipSpec(num_frames=1, size=8, fps=fps)
    source, rng = video(num_frames), np.random.default_rng(0)
    starts = {random_start(source, spec, rng) for _ in range(400)}
    assert len(starts) == count_starts(source, spec) >= 1
    latest = clip_times(source, spec, max(starts))
    assert min(starts) == 0 and latest[-1] <= source.duration_seconds
    beyond = clip_times(source, spec, max(starts) + 0.1)
    assert beyond[-1] > source.duration_seconds


def test_random_start_is_a_function_of_the_generator():
    spec, source = ClipSpec(num_frames=2, size=8), video(1000)
    draws = [random_start(source, spec, np.random.default_rng(s)) for s in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_uniform_and_centred_starts():
    spec = ClipSpec(num_frames=3, size=8)  # 4 frames
    np.testing.assert_allclose(uniform_starts(video(24), spec, 2), [0.5, 1.5])
    np.testing.assert_allclose(uniform_starts(video(24), spec, 1), [1.0])
    assert centred_start(video(24), spec) == 1.0
    np.testing.assert_allclose(uniform_starts(video(4), spec, 3), [0, 0, 0])
    with pytest.raises(ValueError, match="`num_clips` must be at least 1"):
        uniform_starts(video(24), spec, 0)


@pytest.mark.parametrize(
    ("policy", "num_frames", "expected"),
    [
        ("loop", 3, [0, 1, 2, 0, 1]),
        ("hold", 3, [0, 1, 2, 2, 2]),
        ("loop", 1, [0, 0, 0, 0, 0]),
        ("hold", 1, [0, 0, 0, 0, 0]),
    ],
)
def test_short_videos(policy, num_frames, expected):
    spec = ClipSpec(num_frames=4, size=8, short_videos=policy)
    times = clip_times(video(num_frames), spec, 0.0)
    assert frames_of(times) == expected


def test_short_videos_at_another_rate():
    loop = ClipSpec(num_frames=5, size=8, fps=5.0)
    assert frames_of(clip_times(video(5), loop, 0.0)) == [0, 2, 4, 0, 2, 4]
    skip = ClipSpec(num_frames=5, size=8, fps=5.0, short_videos="skip")
    with pytest.raises(
        VideoTooShortError, match=r"a.mp4: lasts 0.50 s, a clip needs 1.10 s\."
    ):
        clip_times(video(5), skip, 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_frames": 0}, "`num_frames` must be a positive integer"),
        ({"size": 1.5}, "`size` must be a positive integer"),
        ({"stride": -1}, "`stride` must be a positive integer"),
        ({"fps": 0.0}, "`fps` must be a positive number or None"),
        ({"fps": float("nan")}, "`fps` must be a positive number or None"),
        ({"fps": 5.0, "stride": 2}, "`fps` and `stride` exclude each other"),
        ({"short_videos": "pad"}, "`short_videos` must be one of"),
    ],
)
def test_bad_specs(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClipSpec(**{"num_frames": 4, "size": 8} | arguments)
