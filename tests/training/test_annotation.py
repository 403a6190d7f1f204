import numpy as np
import pytest

from keras_dynamonet.data.decoding import VideoError, iterate_frames, probe_video
from keras_dynamonet.training.annotation import annotate_video, draw_classes
from keras_dynamonet.training.prediction import Moment
from tests.video_files import write_video


def test_copy_keeps_times_and_pictures_and_gains_text(tmp_path):
    frames = np.full((6, 30, 41, 3), 90, np.uint8)
    times = [0.0, 0.1, 0.2, 0.5, 0.6, 0.7]
    source = write_video(
        tmp_path / "in.mp4", frames[:, :, :40], times_seconds=times, fps=10
    )
    moments = [
        Moment(0.0, 0.2, np.array([0.9, 0.1])),
        Moment(0.5, 0.7, np.array([0.2, 0.8])),
    ]
    annotate_video(source, tmp_path / "out.mp4", moments, ["walk", "run"])
    info = probe_video(tmp_path / "out.mp4")
    assert (info.width, info.height) == (320, 240)  # enlarged eight times
    seconds, pictures = zip(*iterate_frames(tmp_path / "out.mp4"), strict=True)
    np.testing.assert_allclose(seconds, times, atol=0.002)
    assert abs(int(pictures[0][100, 160, 0]) - 90) < 6
    bottom = slice(200, None)
    text_changes = pictures[0][bottom].astype(int) - pictures[-1][bottom]
    assert np.abs(text_changes).max() > 100


def test_unreadable_source_leaves_nothing_behind(tmp_path):
    (tmp_path / "in.mp4").write_bytes(b"")
    moments = [Moment(0.0, 1.0, np.array([1.0]))]
    with pytest.raises(VideoError):
        annotate_video(tmp_path / "in.mp4", tmp_path / "out.mp4", moments, ["walk"])
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_bars_are_as_long_as_the_probabilities():
    frame = np.zeros((240, 320, 3), np.uint8)
    picture = draw_classes(frame, [("a", 1.0), ("b", 0.25)])
    assert not frame.any()
    blue = (picture == (70, 130, 220)).all(axis=-1).sum(axis=1)
    longest, shorter = blue.max(), blue[-8:].max()
    assert shorter / longest == pytest.approx(0.25, abs=0.1)
