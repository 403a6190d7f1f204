import numpy as np
import pytest

from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.scan import scan_video, scan_videos
from keras_dynamonet.data.scan_cache import ScanCache, ScanResult
from keras_dynamonet.data.video_file import VideoError
from keras_dynamonet.errors import UserError
from tests.video_files import numbered_frames, write_video


def test_results_are_in_order_with_reasons(with_bad_files):
    calls = []
    results = scan_videos(
        with_bad_files, workers=3, progress=lambda *numbers: calls.append(numbers)
    )
    assert [result.ok for result in results] == [True] * 8 + [False] * 4
    assert [result.path for result in results] == [
        with_bad_files.path(k) for k in range(12)
    ]
    assert results[9].reason == "the file is empty (0 bytes)"
    assert results[0].info.num_frames == 12 and results[9].info is None
    assert calls == [(k, 12) for k in range(1, 13)]


@pytest.fixture
def damaged(tmp_path):
    """A video whose frames 10 to 14 of 30 are damaged."""
    path = write_video(
        tmp_path / "damaged.mp4",
        numbered_frames(30, step=5),
        key_frame_every=5,
        codec_options={"qp": "0"},
    )
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + (len(data) - data.index(b"mdat")) * 4 // 10
    data[start : start + 300] = bytes(300)
    path.write_bytes(data)
    return path


def test_damage_in_the_middle_needs_a_thorough_scan(damaged):
    result = scan_video(damaged)
    assert not result.ok and "cannot decode the frame at" in result.reason
    assert result.info.num_frames == 30


def test_file_cut_short_is_readable_with_a_remark(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), np.uint8)
    whole = write_video(tmp_path / "whole.avi", frames, codec="mpeg4")
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    result = scan_video(cut)
    assert result.ok and "is cut short or has a wrong header" in result.remark
    assert scan_video(whole).remark == ""
    assert scan_video(cut, thorough=False).ok


def test_results_are_kept_until_a_file_changes(with_bad_files, tmp_path):
    good = write_video(tmp_path / "changing.mp4", numbered_frames(5))
    gone = Manifest(tmp_path, ("gone.mp4", "changing.mp4"), [-1, -1])
    with ScanCache(tmp_path / "scans.sqlite") as cache:
        first = scan_videos(with_bad_files, cache=cache)
        scan_videos(gone, cache=cache)
        assert cache.hits == 0
    with ScanCache(tmp_path / "scans.sqlite") as cache:
        assert scan_videos(with_bad_files, cache=cache) == first
        assert scan_videos(with_bad_files, thorough=False, cache=cache) == first
        opened = sum(result.info is not None for result in first)
        assert cache.hits == 2 * opened > 4
        good.write_bytes(b"garbage")
        assert [result.ok for result in scan_videos(gone, cache=cache)] == [False] * 2
        assert cache.hits == 2 * opened


def test_a_quick_scan_does_not_stand_for_a_thorough_one(damaged, tmp_path):
    manifest = Manifest(damaged.parent, (damaged.name,), [-1])
    with ScanCache(tmp_path / "scans.sqlite") as cache:
        scan_videos(manifest, thorough=False, cache=cache)
        (thorough,) = scan_videos(manifest, cache=cache)
        assert cache.hits == 0
        assert scan_videos(manifest, thorough=False, cache=cache) == [thorough]
        assert cache.hits == 1


def test_a_cache_that_is_none(tmp_path):
    (tmp_path / "scans.sqlite").write_text("not a database, " * 100)
    with pytest.raises(UserError, match="scans.sqlite: the results of earlier scans"):
        ScanCache(tmp_path / "scans.sqlite")


def test_a_cache_that_cannot_be_written(with_bad_files, tmp_path, caplog):
    (tmp_path / "file").touch()
    with ScanCache(tmp_path / "file" / "scans.sqlite") as cache:
        assert scan_videos(with_bad_files, cache=cache) == scan_videos(with_bad_files)
    assert caplog.text.count("what this scan finds out is not kept") == 1


def test_a_disk_that_is_full_in_the_middle(with_bad_files, tmp_path, caplog):
    with ScanCache(tmp_path / "scans.sqlite") as cache:
        first = scan_videos(with_bad_files, cache=cache)
    with ScanCache(tmp_path / "scans.sqlite", fresh=True) as cache:
        # What SQLite says then is what it says of this limit.
        cache._database.execute("pragma max_page_count = 1")
        long = ScanResult("long.mp4", False, reason="cannot be read. " * 10_000)
        cache.keep(long, "state", True)
        cache.keep(long, "state", True)
        assert scan_videos(with_bad_files, cache=cache) == first
    assert caplog.text.count("is not kept: database or disk is full") == 1
    with ScanCache(tmp_path / "scans.sqlite") as cache:
        assert scan_videos(with_bad_files, cache=cache) == first
        assert cache.hits


def test_bad_workers(tmp_path):
    with pytest.raises(ValueError, match="`workers` must be at least 1"):
        scan_videos(Manifest(tmp_path, ("a.mp4",), [-1]), workers=0)


def test_a_file_that_could_not_be_opened_is_tried_again(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", numbered_frames(5))
    manifest = Manifest(tmp_path, ("a.mp4",), [-1])
    module = "keras_dynamonet.data.scan.probe_video"

    def refuse(path):
        raise VideoError(path, "no permission to read it")

    with ScanCache(tmp_path / "cache") as cache:
        with monkeypatch.context() as patch:
            patch.setattr(module, refuse)
            [result] = scan_videos(manifest, cache=cache)
            assert not result.ok
        [result] = scan_videos(manifest, cache=cache)
        assert result.ok, result.reason
    assert path.exists()
