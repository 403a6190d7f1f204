import dataclasses
import json
import shutil

import numpy as np
import pytest

from keras_dynamonet.data.clip_sampling import uniform_starts
from keras_dynamonet.data.manifest import Manifest, load_manifest
from keras_dynamonet.errors import UserError
from keras_dynamonet.reports.intervals import wilson_interval
from keras_dynamonet.training.evaluation import Protocol, evaluate
from keras_dynamonet.training.probabilities import softmax
from keras_dynamonet.training.run_directory import RunDirectory
from keras_dynamonet.training.trained_model import load_trained_model


@pytest.fixture(scope="module")
def trained(trained_run):
    return load_trained_model(trained_run.run.path)


@pytest.fixture(scope="module")
def manifest(action_videos):
    return load_manifest(action_videos, split="test")


@pytest.fixture(scope="module")
def result(trained, manifest):
    calls = []
    result = evaluate(
        trained,
        manifest,
        protocol=Protocol(num_clips=2, num_crops=2),
        batch_size=5,
        frame_clips=4,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(5, 24), (10, 24), (15, 24), (20, 24), (24, 24)]
    return result


def test_probabilities_are_the_mean_softmax_of_all_views(result, trained, manifest):
    from keras_dynamonet.data.clip_sampling import clip_times
    from keras_dynamonet.data.decoding import VideoReader
    from keras_dynamonet.data.transforms import uniform_crops

    views = []
    with VideoReader(manifest.path(3)) as video:
        for start in uniform_starts(video, trained.spec, 2):
            times = clip_times(video, trained.spec, start)
            frames = video.read_frames(times, short_side=16)
            views.append(uniform_crops(frames, 16, 2))
    logits = trained.model.predict_on_batch(np.concatenate(views))["logits"]
    expected = softmax(logits).mean(axis=0)
    np.testing.assert_allclose(result.probabilities[3], expected, atol=1e-5)


def test_counts_agree_with_the_probabilities(result, manifest):
    found = result.classification
    predicted = result.probabilities.argmax(axis=1)
    correct = int((predicted == manifest.labels).sum())
    assert (found.video_accuracy.correct, found.video_accuracy.total) == (correct, 6)
    assert found.clip_accuracy.total == 24
    # Four views of a video are no four videos.
    share = found.clip_accuracy.value
    assert found.clip_accuracy.interval == wilson_interval(6 * share, 6)
    assert found.top5_accuracy.value == 1.0
    assert found.confusion.sum() == 6
    assert np.trace(found.confusion) == correct
    assert [accuracy.total for accuracy in found.per_class] == [2, 2, 2]
    assert sum(accuracy.correct for accuracy in found.per_class) == correct


def test_frame_quality_lies_below_its_ceiling(result):
    quality = result.frame_quality
    assert quality.clips == 4
    assert quality.observed.floor < quality.observed.model <= quality.observed.ceiling


def test_several_filters_a_transition_have_no_ceiling(trained, manifest):
    config = {**trained.model.get_config(), "segments": 2}
    segmented = type(trained.model).from_config(config)
    several = dataclasses.replace(trained, model=segmented)
    found = evaluate(several, manifest.subset(np.arange(2)), frame_clips=2)
    quality = found.to_json()["frame_psnr_db"]
    assert quality["observed"]["ceiling"] is quality["unseen"]["ceiling"] is None


def test_videos_of_the_training_are_counted(trained, action_videos, result, tmp_path):
    assert result.trained_on == 0
    known = Manifest(
        action_videos,
        ("train/down/0.mp4", "test/down/0.mp4"),
        [0, 0],
        ("down", "left", "right"),
    )
    found = evaluate(trained, known, frame_clips=0)
    assert (found.trained_on, found.classification.trained_on) == (1, 1)
    half = Manifest(action_videos, known.paths, [-1, 0], known.class_names)
    found = evaluate(trained, half, frame_clips=0)
    assert (found.trained_on, found.classification.trained_on) == (1, 0)
    unknown = Manifest(action_videos, ("test/down/0.mp4",), [0], known.class_names)
    moved = RunDirectory(shutil.copytree(trained.run.path, tmp_path / "run"))
    moved.videos.write_text("path,label,split\n/gone/a.mp4,down,train\n")
    moved = dataclasses.replace(trained, run=moved)
    assert evaluate(moved, unknown, frame_clips=0).trained_on is None
    shard = tmp_path / "shard-00000-of-00001.tfrecord"
    shard.touch()
    moved.run.videos.write_text(f"path,label,split\n{shard}#0/a.mp4,down,train\n")
    assert evaluate(moved, unknown, frame_clips=0).trained_on == 0
    alone = dataclasses.replace(trained, run=None)
    assert evaluate(alone, known, frame_clips=0).trained_on is None


def test_short_videos_are_left_out_and_named(trained, action_videos, tmp_path):
    from tests.action_videos import moving_square
    from tests.video_files import write_video

    write_video(tmp_path / "short.mp4", moving_square("left", 0, num_frames=2))
    shutil.copy(action_videos / "test" / "left" / "0.mp4", tmp_path)
    strict = dataclasses.replace(
        trained, spec=dataclasses.replace(trained.spec, short_videos="skip")
    )
    manifest = Manifest(tmp_path, ("0.mp4", "short.mp4"), [-1, -1])
    found = evaluate(strict, manifest, frame_clips=0).to_json()
    assert found["videos"] == 1 and found["bad_files"] == {}
    assert "a clip needs" in found["too_short"][str(tmp_path / "short.mp4")]


def test_json_is_complete(result, manifest):
    document = json.loads(json.dumps(result.to_json()))
    assert document["data_fingerprint"] == manifest.fingerprint()
    assert document["protocol"]["text"] == ("mean softmax of 2 clips x 2 crops a video")
    assert document["per_class"].keys() == {"down", "left", "right"}
    assert document["frame_psnr_db"]["unseen"].keys() == {"floor", "model", "ceiling"}


def test_bad_unlabelled_and_absent_classes(trained, action_videos, tmp_path):
    """One broken, one unlabelled and no `right` video among three of `down`."""
    shutil.copytree(action_videos / "test" / "down", tmp_path / "down")
    (tmp_path / "down" / "2.mp4").write_bytes(b"")
    paths = ("down/0.mp4", "down/1.mp4", "down/2.mp4")
    manifest = Manifest(tmp_path, paths, [0, -1, 0], ("down", "left", "right"))
    result = evaluate(trained, manifest, frame_clips=0, max_bad_share=0.5)
    assert result.video_paths == ["down/0.mp4", "down/1.mp4"]
    assert result.probabilities.shape == (2, 3)
    assert list(result.bad_files) == [str(tmp_path / "down" / "2.mp4")]
    assert result.classification.video_accuracy.total == 1
    assert result.classification.per_class[1:] == [None, None]
    assert result.frame_quality is None


def test_no_label_at_all_gives_no_accuracy(trained, action_videos):
    manifest = Manifest(action_videos / "test" / "left", ("0.mp4",), [-1])
    result = evaluate(trained, manifest, frame_clips=0)
    assert result.classification is None
    assert result.to_json()["video_accuracy"] is None


def test_no_readable_video_is_an_error(trained, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(UserError, match="none of the videos could be read"):
        evaluate(trained, Manifest(tmp_path, ("a.mp4",), [-1]))


def test_too_many_bad_videos_are_an_error(trained, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match="2 of 2 videos cannot be read"):
        evaluate(trained, Manifest(tmp_path, ("a.mp4", "b.mp4"), [-1, -1]))


@pytest.mark.parametrize("arguments", [{"num_clips": 0}, {"num_crops": 0}])
def test_protocol_is_checked(arguments):
    [name] = arguments
    with pytest.raises(UserError, match=f"`{name}` must be at least 1. Received: 0"):
        Protocol(**arguments)


def test_plain_protocol_is_put_plainly():
    assert str(Protocol()) == "the middle clip of a video, centre crop"
