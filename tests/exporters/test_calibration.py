import numpy as np
import pytest

from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.calibration import (
    ExportClips,
    clip_counts,
    load_export_clips,
    read_video_clips,
    share_out,
)
from tests.action_videos import write_action_videos
from tests.exporters.networks import moving_clips

SPEC = ClipSpec(num_frames=4, size=16)


def as_set(clips):
    return {clip.tobytes() for clip in clips}


def test_splits_keep_comparison_and_calibration_apart(action_videos):
    clips = load_export_clips(action_videos, SPEC, num_parity=4, num_calibration=6)
    assert clips.parity.shape == (4, 4, 16, 16, 3)
    assert clips.calibration.shape == (6, 4, 16, 16, 3)
    assert not as_set(clips.parity) & as_set(clips.calibration)
    again = load_export_clips(action_videos, SPEC, num_parity=4, num_calibration=6)
    np.testing.assert_array_equal(clips.parity, again.parity)


def test_videos_without_splits_are_shared_out(tmp_path):
    write_action_videos(tmp_path, videos=2)
    clips = load_export_clips(tmp_path, SPEC, num_parity=8, num_calibration=8)
    assert len(clips.parity) == len(clips.calibration) == 8
    assert not as_set(clips.parity) & as_set(clips.calibration)
    assert clips.source == str(tmp_path)


def test_single_video_serves_both(tmp_path, caplog):
    write_action_videos(tmp_path, videos=1)
    video = sorted(tmp_path.rglob("*.mp4"))[0]
    clips = load_export_clips(video, SPEC, num_parity=3, num_calibration=2)
    assert f"{video}: INT8 is calibrated on what it is compared on" in caplog.text
    assert (len(clips.parity), len(clips.calibration)) == (3, 2)
    assert read_video_clips(video, SPEC, 2).shape == (2, 4, 16, 16, 3)


def test_arrays_are_taken(tmp_path):
    np.save(tmp_path / "clips.npy", moving_clips(5, 4, 16))
    clips = load_export_clips(tmp_path / "clips.npy", SPEC, num_parity=3)
    assert (len(clips.parity), len(clips.calibration)) == (3, 2)
    clips = load_export_clips(tmp_path / "clips.npy", SPEC, num_parity=5)
    assert (len(clips.parity), len(clips.calibration)) == (5, 5)


def test_too_few_clips_of_an_array_are_shared_out(tmp_path, caplog):
    np.save(tmp_path / "clips.npy", moving_clips(60, 4, 16))
    clips = load_export_clips(tmp_path / "clips.npy", SPEC)
    assert (len(clips.parity), len(clips.calibration)) == (40, 20)
    assert not as_set(clips.parity) & as_set(clips.calibration)
    assert "INT8 is calibrated on what" not in caplog.text


@pytest.mark.parametrize(
    ("precisions", "counts"),
    [
        (["float32"], (64, 0)),
        (["float32", "float16"], (256, 0)),
        (["dynamic_range"], (256, 0)),
        (["float32", "int8"], (256, 128)),
    ],
)
def test_what_may_differ_is_compared_on_more_clips(precisions, counts, tmp_path):
    assert clip_counts(precisions) == counts
    np.save(tmp_path / "clips.npy", moving_clips(600, 4, 16))
    clips = load_export_clips(tmp_path / "clips.npy", SPEC, precisions=precisions)
    assert (len(clips.parity), len(clips.calibration)) == counts


def test_no_clips_are_read_to_calibrate_what_is_not_int8(action_videos, tmp_path):
    clips = load_export_clips(action_videos, SPEC, precisions=["float32"], num_parity=3)
    assert clips.calibration.shape == (0, 4, 16, 16, 3)
    video = sorted(action_videos.rglob("*.mp4"))[0]
    clips = load_export_clips(video, SPEC, precisions=["float32"], num_parity=3)
    assert (len(clips.parity), len(clips.calibration)) == (3, 0)
    with pytest.raises(UserError, match="INT8 needs clips to calibrate with"):
        clips.to_calibrate_with()


@pytest.mark.parametrize(("count", "told"), [(1, True), (31, True), (32, False)])
def test_few_clips_are_told_to_be_weak(count, told, tmp_path, caplog):
    np.save(tmp_path / "clips.npy", moving_clips(40, 4, 16))
    load_export_clips(tmp_path / "clips.npy", SPEC, num_parity=count)
    message = f"compared on {count} clips only, fewer than 32 prove little: give more"
    assert (message in caplog.text) == told


def test_clips_that_come_again_are_counted_once(tmp_path, caplog):
    different = moving_clips(30, 4, 16)
    np.save(tmp_path / "clips.npy", np.repeat(different, 2, axis=0))
    clips = load_export_clips(tmp_path / "clips.npy", SPEC, num_parity=40)
    assert len(set(clips.parity_hashes)) == 20
    # The different ones first: not all signatures are compared on all clips.
    np.testing.assert_array_equal(clips.parity, different[:20])
    assert "compared on 20 clips only, fewer than" in caplog.text
    assert "calibrated on 10 clips (20 with repetitions) only, fewer" in caplog.text


def test_clips_come_again_to_fill_all_batch_sizes(tmp_path, caplog):
    different = moving_clips(5, 4, 16)
    np.save(tmp_path / "clips.npy", np.repeat(different, 4, axis=0))
    clips = load_export_clips(
        tmp_path / "clips.npy", SPEC, precisions=["float32"], num_parity=20
    )
    np.testing.assert_array_equal(clips.parity[:5], different)
    assert len(clips.parity) == 1 + 3 + 8
    assert "compared on 5 clips (12 with repetitions) only" in caplog.text


def test_a_short_video_gives_few_clips(tmp_path, caplog):
    write_action_videos(tmp_path, videos=1)
    video = sorted(tmp_path.rglob("*.mp4"))[0]
    clips = load_export_clips(video, SPEC, precisions=["float32"], num_parity=64)
    distinct = len(as_set(clips.parity))
    assert distinct < 32
    assert len(set(clips.parity_hashes)) == len(as_set(clips.parity[:distinct]))
    assert len(clips.parity) == max(distinct, 12)
    again = "" if distinct >= 12 else " (12 with repetitions)"
    assert f"compared on {distinct} clips{again} only, fewer than 32" in caplog.text


def test_the_same_clip_over_and_over_is_refused(tmp_path):
    path = tmp_path / "clips.npy"
    np.save(path, np.zeros((40, 4, 16, 16, 3), "uint8"))
    message = "clips.npy: all clips to compare on are the same, which proves nothing"
    with pytest.raises(UserError, match=message):
        load_export_clips(path, SPEC, precisions=["float32"])
    alone = load_export_clips(path, SPEC, precisions=["float32"], num_parity=1)
    assert len(alone.parity) == 1


@pytest.mark.parametrize(("count", "told"), [(1, True), (15, True), (16, False)])
def test_few_clips_make_poor_ranges(count, told, tmp_path, caplog):
    np.save(tmp_path / "clips.npy", moving_clips(80, 4, 16))
    counts = {"num_parity": 40, "num_calibration": count}
    load_export_clips(tmp_path / "clips.npy", SPEC, **counts)
    assert ("--calibration-clips or --data" in caplog.text) == told


def test_clips_of_another_size_are_refused(tmp_path):
    np.save(tmp_path / "clips.npy", moving_clips(2, 6, 16))
    with pytest.raises(
        UserError, match=r"shape \(6, 16, 16, 3\), but the network take"
    ):
        load_export_clips(tmp_path / "clips.npy", SPEC)


def test_other_arrays_are_refused():
    floats = moving_clips(2, 4, 16) / 255
    with pytest.raises(UserError, match="clips must be uint8 RGB of shape"):
        ExportClips(floats, floats, "array")


def test_no_clips_are_refused():
    with pytest.raises(UserError, match="array: holds no clips"):
        share_out(np.zeros((0, 4, 16, 16, 3), "uint8"))


def test_broken_array_is_refused(tmp_path):
    (tmp_path / "clips.npy").write_text("no array")
    with pytest.raises(
        UserError, match="cannot be read as an array. Write it with num"
    ):
        load_export_clips(tmp_path / "clips.npy", SPEC)


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY\x01\x00\x08\x00{'descr:", b"PK\x03\x04"]
)
def test_damaged_arrays_are_refused(content, tmp_path):
    path = tmp_path / "clips.npy"
    path.write_bytes(content)
    with pytest.raises(UserError, match="clips.npy: cannot be read as an array. Wri"):
        load_export_clips(path, SPEC)


def test_an_archive_by_the_name_of_an_array_is_refused(tmp_path):
    path = tmp_path / "clips.npy"
    with open(path, "wb") as file:
        np.savez(file, moving_clips(2, 4, 16))
    with pytest.raises(UserError, match="clips.npy: cannot be read as an array. Wri"):
        load_export_clips(path, SPEC)


@pytest.mark.parametrize("array", [np.uint8(3), np.zeros((4, 16, 16, 3), "uint8")])
def test_arrays_of_another_shape_are_refused(array, tmp_path):
    path = tmp_path / "clips.npy"
    np.save(path, array)
    with pytest.raises(UserError, match="clips.npy: clips must be uint8 RGB of shape"):
        load_export_clips(path, SPEC)


def test_a_missing_array_is_told_as_missing(tmp_path):
    with pytest.raises(
        UserError, match="clips.npy: cannot be read: No such file or directory. Name"
    ):
        load_export_clips(tmp_path / "clips.npy", SPEC)


def test_broken_videos_are_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(UserError, match="a.mp4: no clips could be read. .*a.mp4"):
        load_export_clips(tmp_path, SPEC)
