import numpy as np
import pytest

from keras_dynamonet.data.bad_files import BadFileLog
from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.data.clip_sources import EvaluationViews, TrainingClips
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.transforms import Augmentation
from keras_dynamonet.data.video_file import VideoError
from keras_dynamonet.errors import UserError

SPEC = ClipSpec(num_frames=2, size=16)
PLAIN = Augmentation.none()


def source_of(clip: np.ndarray) -> int:
    """Which of the eight videos a clip is from."""
    return int((clip.mean() - 19) // 30)


def start_of(clip: np.ndarray) -> int:
    """At which frame of its video a clip starts."""
    return round((clip[0].mean() - 19) % 30 / 2 - 0.25)


def test_every_video_once_an_epoch_in_another_order(eight_videos):
    clips = TrainingClips(eight_videos, SPEC, seed=1, augmentation=PLAIN)
    orders = []
    for epoch in range(3):
        samples = [clips(8 * epoch + k) for k in range(8)]
        order = [source_of(clip) for clip, _ in samples]
        assert sorted(order) == list(range(8))
        labels = [int(label) for _, label in samples]
        assert labels == eight_videos.labels[order].tolist()
        orders.append(order)
    assert orders[0] != orders[1] != orders[2]


def test_labelled_videos_come_again_until_they_are_half(eight_videos):
    videos = Manifest(
        eight_videos.root,
        eight_videos.paths,
        [0, -1, -1, 1, -1, -1, -1, -1],
        ("walk", "run"),
    )
    stream = {"seed": 1, "augmentation": PLAIN, "labelled_share": 0.5}
    clips = TrainingClips(videos, SPEC, **stream)
    samples = [clips(number) for number in range(24)]
    sources = [source_of(clip) for clip, _ in samples]
    assert [int(label) for _, label in samples] == videos.labels[sources].tolist()
    others, labelled = sources[::2], sources[1::2]
    for start in (0, 6):
        assert sorted(others[start : start + 6]) == [1, 2, 4, 5, 6, 7]
    epochs = [labelled[start : start + 2] for start in range(0, 12, 2)]
    assert {tuple(epoch) for epoch in epochs} == {(0, 3), (3, 0)}
    enough = TrainingClips(videos, SPEC, **{**stream, "labelled_share": 0.25})
    once = [source_of(enough(number)[0]) for number in range(8)]
    assert sorted(once) == list(range(8))


def test_a_bad_labelled_video_is_replaced_by_a_labelled_one(with_bad_files):
    labels = np.full(len(with_bad_files), -1)
    labels[[2, 8]] = 0  # the second is bad
    videos = Manifest(with_bad_files.root, with_bad_files.paths, labels, ("walk",))
    clips = TrainingClips(
        videos,
        SPEC,
        seed=0,
        augmentation=PLAIN,
        labelled_share=0.5,
        max_bad_share=1.0,
    )
    labelled = [clips(number) for number in range(1, 12, 2)]
    assert {(source_of(clip), int(label)) for clip, label in labelled} == {(2, 0)}


def test_videos_with_a_label_that_are_all_bad_are_said_to_be_so(with_bad_files):
    labels = np.full(len(with_bad_files), -1)
    labels[8:10] = 0
    videos = Manifest(with_bad_files.root, with_bad_files.paths, labels, ("walk",))
    clips = TrainingClips(videos, SPEC, seed=0, labelled_share=0.5, max_bad_share=1.0)
    with pytest.raises(UserError, match="None of the 2 labelled videos under .* gives"):
        clips(1)


def test_samples_are_functions_of_seed_and_number(eight_videos):
    first = TrainingClips(eight_videos, SPEC, seed=5)
    again = TrainingClips(eight_videos, SPEC, seed=5)
    other = TrainingClips(eight_videos, SPEC, seed=6)
    numbers = [30, 3, 11, 3]
    for number in numbers:
        np.testing.assert_array_equal(first(number)[0], again(number)[0])
    assert any(np.any(first(k)[0] != other(k)[0]) for k in numbers)


def test_starts_vary_from_epoch_to_epoch(eight_videos):
    clips = TrainingClips(eight_videos.subset([3]), SPEC, seed=0, augmentation=PLAIN)
    starts = {start_of(clips(epoch)[0]) for epoch in range(80)}
    assert starts == set(range(10))  # 12 frames, 3 a clip


def test_streams_of_numbers_do_not_meet(eight_videos):
    clips = TrainingClips(eight_videos, SPEC, seed=0)
    draws = [
        clips._rng(stream, *rest).integers(1 << 62)
        for stream in (0, 1, 2, 3)
        for rest in ((0,), (0, 1), (1,), (1, 1), (1, 1, 1))
    ]
    assert len(set(draws)) == len(draws)


def test_bad_files_are_replaced_the_same_way_every_time(with_bad_files, caplog):
    runs = []
    for _ in range(2):
        log = BadFileLog()
        clips = TrainingClips(
            with_bad_files,
            SPEC,
            seed=0,
            augmentation=PLAIN,
            max_bad_share=0.5,
            bad_file_log=log,
        )
        runs.append([clips(k) for k in range(24)])
        assert len(log) == 4
        assert set(log.reasons.values()) == {
            "the file is empty (0 bytes)",
            log.reasons[with_bad_files.path(8)],
        }
    for (clip, label), (clip_again, label_again) in zip(*runs, strict=True):
        np.testing.assert_array_equal(clip, clip_again)
        assert label == label_again
        # A substitute brings its own label.
        assert label == with_bad_files.labels[source_of(clip)]
    assert caplog.text.count("Bad video") == 8  # once a file and log
    assert all(entry["count"] >= 2 for entry in log.as_dict()["bad"])


def test_policy_raise_names_the_file(with_bad_files):
    log = BadFileLog()
    clips = TrainingClips(
        with_bad_files, SPEC, seed=0, bad_files="raise", bad_file_log=log
    )
    with pytest.raises(VideoError, match=r"bad\d.mp4: "):
        for number in range(12):
            clips(number)
    with pytest.raises(VideoError, match=r"bad\d.mp4: "):
        log.raise_if_failed()


def test_policy_resample_tries_the_same_video_first(eight_videos, monkeypatch):
    tried = []
    original = TrainingClips._load_clip

    def failing_twice(self, index, rng):
        tried.append(index)
        if len(tried) < 3:
            raise VideoError("a.mp4", "damaged here")
        return original(self, index, rng)

    monkeypatch.setattr(TrainingClips, "_load_clip", failing_twice)
    clips = TrainingClips(eight_videos, SPEC, seed=0, bad_files="resample")
    _, label = clips(0)
    assert len(tried) == 3 and len(set(tried)) == 1
    assert not clips._bad_videos._bad  # it gave a clip
    assert label == eight_videos.labels[tried[0]]


def test_too_many_bad_files_stop_training(with_bad_files):
    log = BadFileLog()
    clips = TrainingClips(
        with_bad_files, SPEC, seed=0, max_bad_share=0.2, bad_file_log=log
    )
    message = r"3 of 12 videos cannot be read, more than the tolerated share of 20%"
    with pytest.raises(UserError, match=message):
        for number in range(12):
            clips(number)
    with pytest.raises(UserError, match="dynamonet scan DATA") as caught:
        log.raise_if_failed()
    assert "\n" not in str(caught.value)


def test_one_bad_file_never_stops_a_small_set(with_bad_files):
    small = with_bad_files.subset([0, 8])
    clips = TrainingClips(small, SPEC, seed=0, augmentation=PLAIN, max_bad_share=0.0)
    assert [source_of(clips(k)[0]) for k in range(6)] == [0] * 6


def test_no_good_file_at_all(with_bad_files):
    clips = TrainingClips(with_bad_files.subset([9]), SPEC, seed=0)
    with pytest.raises(UserError, match="None of the 1 videos .* gives a clip"):
        clips(0)


def test_short_videos_left_out_do_not_count_as_bad(eight_videos):
    spec = ClipSpec(num_frames=30, size=16, short_videos="skip")
    log = BadFileLog()
    clips = TrainingClips(eight_videos, spec, seed=0, bad_file_log=log)
    with pytest.raises(UserError, match="None of the 8 videos"):
        clips(0)
    assert len(log) == 0 and len(log.too_short) == 8
    looped = TrainingClips(eight_videos, ClipSpec(num_frames=30, size=16), seed=0)
    assert looped(0)[0].shape == (31, 16, 16, 3)


def test_evaluation_views_are_clip_by_clip_then_crop_by_crop(eight_videos):
    views = EvaluationViews(eight_videos, SPEC, num_clips=2, num_crops=3)(4)
    assert views.shape == (6, 3, 16, 16, 3)
    assert [start_of(view) for view in views] == [2, 2, 2, 7, 7, 7]
    assert {source_of(view) for view in views} == {4}
    centre = EvaluationViews(eight_videos, SPEC)(4)
    assert centre.shape == (1, 3, 16, 16, 3) and start_of(centre[0]) == 5


def test_evaluation_leaves_bad_files_out(with_bad_files):
    log = BadFileLog()
    views = EvaluationViews(with_bad_files, SPEC, max_bad_share=0.2, bad_file_log=log)
    assert views(8).shape == (0, 3, 16, 16, 3)
    assert views(9).shape == (0, 3, 16, 16, 3)
    with pytest.raises(UserError, match="3 of 12 videos"):
        views(10)
    strict = EvaluationViews(with_bad_files, SPEC, bad_files="raise")
    with pytest.raises(VideoError, match="bad1.mp4: the file is empty"):
        strict(9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "`seed` must not be negative"),
        ({"bad_files": "ignore"}, "`bad_files` must be one of"),
        ({"max_bad_share": 1.5}, "`max_bad_share` must lie in"),
    ],
)
def test_bad_training_arguments(eight_videos, arguments, message):
    with pytest.raises(ValueError, match=message):
        TrainingClips(eight_videos, SPEC, **{"seed": 0} | arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_clips": 0}, "`num_clips` must be at least 1"),
        ({"num_crops": 0}, "`num_crops` must be at least 1"),
        ({"bad_files": "resample"}, "`bad_files` must be 'skip' or 'raise' in eval"),
    ],
)
def test_bad_evaluation_arguments(eight_videos, arguments, message):
    with pytest.raises(ValueError, match=message):
        EvaluationViews(eight_videos, SPEC, **arguments)


def test_empty_manifest(tmp_path):
    with pytest.raises(UserError, match="the list of videos is empty"):
        TrainingClips(Manifest(tmp_path, (), []), SPEC, seed=0)
