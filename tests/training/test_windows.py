import numpy as np
import pytest

from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.training.windows import sliding_windows


def stream(count, fps=10.0, start=0.0, height=8, width=12):
    """Frames whose grey level is their number."""
    for k in range(count):
        yield start + k / fps, np.full((height, width, 3), k, np.uint8)


def numbers(window):
    return window.clip[:, 0, 0, 0].tolist()


def test_windows_overlap_by_half_and_the_end_is_covered():
    spec = ClipSpec(num_frames=4, size=8, fps=10.0)
    windows = list(sliding_windows(stream(9), spec))
    assert [numbers(w) for w in windows] == [
        [0, 1, 2, 3],
        [2, 3, 4, 5],
        [4, 5, 6, 7],
        [5, 6, 7, 8],
    ]
    assert windows[1].start_seconds == pytest.approx(0.2)
    assert windows[1].end_seconds == pytest.approx(0.5)


def test_windows_come_as_soon_as_their_frames_do():
    taken = []

    def frames():
        for item in stream(20):
            taken.append(item)
            yield item

    spec = ClipSpec(num_frames=4, size=8, stride=1)
    next(sliding_windows(frames(), spec))
    assert len(taken) == 4


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(5.0, [0, 2, 4]), (10.0, [0, 1, 2]), (20.0, [0, 0, 1]), (4.0, [0, 2, 5])],
)
def test_frames_are_taken_at_the_models_pace(fps, expected):
    spec = ClipSpec(num_frames=3, size=8, fps=fps)
    assert numbers(next(sliding_windows(stream(10), spec))) == expected


def test_stride_takes_every_so_many_frames():
    spec = ClipSpec(num_frames=3, size=8, stride=3)
    assert numbers(next(sliding_windows(stream(10, start=5.0), spec))) == [0, 3, 6]


def test_a_variable_rate_is_followed():
    times = [0.0, 0.1, 0.4, 0.5]
    frames = [(t, np.full((8, 8, 3), k, np.uint8)) for k, t in enumerate(times)]
    spec = ClipSpec(num_frames=6, size=8, fps=10.0)
    assert numbers(next(sliding_windows(frames, spec))) == [0, 1, 1, 1, 2, 3]


def test_hop_is_given_in_seconds():
    spec = ClipSpec(num_frames=2, size=8, fps=10.0)
    windows = sliding_windows(stream(9), spec, hop_seconds=0.4)
    assert [numbers(w) for w in windows] == [[0, 1], [4, 5], [7, 8]]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("loop", [[0, 1, 2, 0, 1]]), ("hold", [[0, 1, 2, 2, 2]]), ("skip", [])],
)
def test_short_streams_follow_the_policy(policy, expected):
    spec = ClipSpec(num_frames=5, size=8, fps=10.0, short_videos=policy)
    windows = list(sliding_windows(stream(3), spec))
    assert [numbers(w) for w in windows] == expected
    assert all(w.end_seconds == pytest.approx(0.2) for w in windows)


def test_single_frame_windows():
    spec = ClipSpec(num_frames=1, size=8, fps=10.0)
    assert [numbers(w) for w in sliding_windows(stream(3), spec)] == [[0], [1], [2]]


def test_no_frames_no_windows():
    assert list(sliding_windows([], ClipSpec(num_frames=2, size=8))) == []


def test_frames_are_cropped_to_the_models_square():
    spec = ClipSpec(num_frames=2, size=16, fps=10.0)
    window = next(sliding_windows(stream(2, height=40, width=64), spec))
    assert window.clip.shape == (2, 16, 16, 3)


def test_hop_must_be_positive():
    spec = ClipSpec(num_frames=2, size=8)
    with pytest.raises(ValueError, match="`hop_seconds` must be positive. Received: 0"):
        list(sliding_windows(stream(3), spec, hop_seconds=0))
