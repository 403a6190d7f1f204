from itertools import pairwise

import numpy as np
import pytest

from keras_dynamonet.data.decoding import VideoError
from keras_dynamonet.data.manifest import load_manifest
from keras_dynamonet.training.evaluation import Protocol, evaluate
from keras_dynamonet.training.prediction import (
    Moment,
    frames_timeline,
    merge_moments,
    predict_videos,
    video_timeline,
)
from keras_dynamonet.training.trained_model import load_trained_model
from tests.action_videos import moving_square
from tests.video_files import write_video


@pytest.fixture(scope="module")
def trained(trained_run):
    return load_trained_model(trained_run.run.path)


@pytest.fixture(scope="module")
def long_video(tmp_path_factory):
    frames = moving_square("left", 0, num_frames=30)
    return write_video(tmp_path_factory.mktemp("long") / "long.mp4", frames, fps=12.0)


def test_videos_get_what_an_evaluation_finds(trained, action_videos):
    manifest = load_manifest(action_videos, split="test")
    paths = [manifest.path(i) for i in range(len(manifest))]
    protocol = Protocol(num_clips=2)
    found = predict_videos(trained, paths, protocol=protocol, batch_size=4)
    expected = evaluate(trained, manifest, protocol=protocol, frame_clips=0)
    assert [prediction.path for prediction in found] == paths
    np.testing.assert_allclose(
        [prediction.probabilities for prediction in found],
        expected.probabilities,
        atol=1e-5,
    )


def test_unreadable_videos_carry_an_error_and_the_others_an_answer(
    trained, long_video, tmp_path
):
    (tmp_path / "a.mp4").write_bytes(b"")
    calls = []
    bad, good = predict_videos(
        trained,
        [tmp_path / "a.mp4", long_video],
        progress=lambda done, total: calls.append((done, total)),
    )
    assert bad.probabilities is None and "empty" in bad.error
    assert good.error is None and good.probabilities.sum() == pytest.approx(1)
    assert calls == [(1, 2)]


def test_no_readable_video(trained, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    [prediction] = predict_videos(trained, [tmp_path / "a.mp4"])
    assert prediction.error


def test_timeline_covers_the_video(trained, long_video):
    moments = list(video_timeline(trained, long_video, batch_size=4))
    assert moments[0].start_seconds == 0
    assert moments[-1].end_seconds == pytest.approx(29 / 12, abs=0.02)
    for before, after in pairwise(moments):
        assert before.start_seconds < after.start_seconds <= before.end_seconds


def test_timeline_of_a_stream_does_not_depend_on_batches(trained):
    frames = [
        (k / 12, f) for k, f in enumerate(moving_square("left", 0, num_frames=11))
    ]
    one = list(frames_timeline(trained, frames, batch_size=1))
    many = list(frames_timeline(trained, frames, batch_size=8))
    for a, b in zip(one, many, strict=True):
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-5)


def test_timeline_of_a_broken_video(trained, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(VideoError, match="a.mp4"):
        list(video_timeline(trained, tmp_path / "a.mp4"))


def test_video_shorter_than_a_clip_follows_the_policy(trained, tmp_path):
    from dataclasses import replace

    path = write_video(tmp_path / "short.mp4", moving_square("left", 0, num_frames=2))
    assert len(list(video_timeline(trained, path))) == 1
    strict = replace(trained, spec=replace(trained.spec, short_videos="skip"))
    with pytest.raises(VideoError, match="is shorter than a clip"):
        list(video_timeline(strict, path))
    [prediction] = predict_videos(strict, [path])
    assert "a clip needs" in prediction.error


def test_segments_join_equal_neighbours():
    rows = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.6, 0.4]])
    moments = [Moment(k, k + 2.0, row) for k, row in enumerate(rows)]
    segments = merge_moments(moments)
    assert [segment.label for segment in segments] == [0, 1, 0]
    assert [s.start_seconds for s in segments] == [0, 2.5, 3.5]
    assert [s.end_seconds for s in segments] == [2.5, 3.5, 5.0]
    assert segments[0].probability == pytest.approx(0.8)


def test_no_moments_no_segments():
    assert merge_moments([]) == []
