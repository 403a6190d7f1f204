"""Corner files, each made here: what is right about them is read, the rest is named."""

import os
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from keras_dynamonet.data.decoding import (
    VideoError,
    VideoReader,
    iterate_frames,
    probe_video,
    read_frames,
)
from tests.video_files import frame_numbers, numbered_frames, write_video


def middles(*numbers: int, fps: float = 10.0) -> list[float]:
    """Moments in the middle of the display time of frames."""
    return [(number + 0.5) / fps for number in numbers]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """20 frames at 10 fps, 48 x 64, key frames every 5."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, numbered_frames(20), key_frame_every=5)


@pytest.fixture
def decoded(monkeypatch):
    """All that a reader decodes from now on."""
    found = []
    original = VideoReader._decode

    def counting(self, *arguments):
        for item in original(self, *arguments):
            found.append(item)
            yield item

    monkeypatch.setattr(VideoReader, "_decode", counting)
    return found


# Frames by time.


def test_frames_are_those_on_display_at_the_times(clip):
    frames = read_frames(clip, middles(0, 1, 7, 19))
    assert frames.shape == (4, 48, 64, 3) and frames.dtype == np.uint8
    assert frame_numbers(frames) == [0, 1, 7, 19]
    # The display time of a frame is half open: [start, next start).
    assert frame_numbers(read_frames(clip, [0.0, 0.3, 0.398, 1.9, 1.99])) == [
        0,
        3,
        3,
        19,
        19,
    ]


def test_times_may_come_in_any_order_and_repeat(clip):
    frames = read_frames(clip, middles(12, 3, 3, 0, 12))
    assert frame_numbers(frames) == [12, 3, 3, 0, 12]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi", "flv", "ts"])
def test_same_frames_in_every_container(tmp_path, suffix):
    path = write_video(tmp_path / f"a.{suffix}", numbered_frames(20), key_frame_every=6)
    info = probe_video(path)
    assert info.num_frames == 20 and info.fps == pytest.approx(10, rel=0.01)
    assert info.duration_seconds == pytest.approx(2.0, abs=0.06)
    with VideoReader(path) as video:
        assert video.duration_seconds == pytest.approx(2.0, abs=0.06)
        assert frame_numbers(video.read_frames(middles(11, 4, 19))) == [11, 4, 19]


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("libx264", "yuv420p10le", "mp4"),
        ("libx264", "gray", "mp4"),
        ("libx264", "yuv444p", "mkv"),
        ("ffv1", "gray16le", "mkv"),
        ("mpeg4", "yuv420p", "avi"),
        ("mjpeg", "yuvj420p", "avi"),
        ("libvpx-vp9", "yuv420p", "webm"),
        ("mpeg2video", "yuv420p", "mpg"),
        ("gif", "rgb8", "gif"),
    ],
)
def test_codecs_and_pixel_formats(tmp_path, codec, pix_fmt, suffix):
    fps = 25.0 if codec == "mpeg2video" else 10.0
    path = write_video(
        tmp_path / f"a.{suffix}",
        numbered_frames(6, step=30),
        fps=fps,
        codec=codec,
        pix_fmt=pix_fmt,
    )
    frames = read_frames(path, middles(5, 0, 3, fps=fps))
    assert frames.shape == (3, 48, 64, 3)
    if codec != "gif" and pix_fmt != "gray":  # these do not keep levels exactly
        assert frame_numbers(frames, step=30) == [5, 0, 3]
    assert np.all(np.diff(frames.mean(axis=(1, 2, 3))[[1, 2, 0]]) > 20)


def test_seeks_to_the_key_frame_before_instead_of_the_start(clip, decoded):
    assert frame_numbers(read_frames(clip, middles(16, 17))) == [16, 17]
    assert len(decoded) <= 5  # from key frame 15 on
    decoded.clear()
    assert frame_numbers(read_frames(clip, middles(1, 18))) == [1, 18]
    assert len(decoded) <= 8  # frames 0 to 2, then 15 to 19


@pytest.mark.parametrize(
    ("codec", "suffix", "options"),
    [
        ("libx264", "mp4", {"bf": "3"}),
        ("libx265", "mp4", {"x265-params": "bframes=3:log-level=none"}),
        ("mpeg2video", "mkv", {"bf": "2"}),
        ("mpeg4", "mp4", {"bf": "2"}),
    ],
)
def test_frames_that_no_other_needs_are_left_out_before_the_first(
    tmp_path, decoded, codec, suffix, options
):
    path = write_video(
        tmp_path / f"a.{suffix}",
        numbered_frames(60, step=3),
        codec=codec,
        key_frame_every=60,
        codec_options=options,
    )
    every = np.stack([frame for _, frame in iterate_frames(path)])
    assert len(every) == 60
    for first in (0, 1, 2, 37, 38, 39, 40, 58):
        decoded.clear()
        frames = read_frames(path, middles(first, first + 1))
        np.testing.assert_array_equal(frames, every[[first, first + 1]])
    assert len(decoded) < 40


def test_a_long_frame_that_no_other_needs_is_not_missed(tmp_path):
    """On display at the wanted time, though it begins far before it."""
    times = [k / 10 for k in range(20)] + [k / 10 + 5 for k in range(20, 40)]
    for shift in range(4):  # one of them ends with a frame of each kind
        path = write_video(
            tmp_path / f"{shift}.mp4",
            numbered_frames(40, step=5),
            times_seconds=times[shift:] + [9.0 + k / 10 for k in range(shift)],
            key_frame_every=60,
            codec_options={"bf": "3"},
        )
        moment = 4.0 - times[shift]
        every = [frame for _, frame in iterate_frames(path)]
        np.testing.assert_array_equal(read_frames(path, [moment])[0], every[19 - shift])


def test_variable_rate_goes_by_timestamps(tmp_path):
    times = [0.0, 0.1, 0.2, 1.2, 1.25, 1.3, 3.0, 3.1]
    for suffix in ("mp4", "mkv"):
        path = write_video(
            tmp_path / f"vfr.{suffix}", numbered_frames(8), times_seconds=times
        )
        assert probe_video(path).num_frames == 8
        wanted = [0.05, 0.9, 1.22, 1.27, 2.9, 3.05]
        assert frame_numbers(read_frames(path, wanted)) == [0, 2, 3, 4, 5, 6]


def test_first_frame_is_time_zero_whatever_its_timestamp(tmp_path):
    times = [5.0 + 0.1 * k for k in range(6)]
    path = write_video(tmp_path / "late.mkv", numbered_frames(6), times_seconds=times)
    with VideoReader(path) as video:
        assert video.duration_seconds == pytest.approx(0.6, abs=0.05)
        assert frame_numbers(video.read_frames(middles(0, 4))) == [0, 4]


def test_missing_duration_is_measured(tmp_path):
    # Fragments leave the header without a length, raw streams have no header at all.
    fragmented = write_video(
        tmp_path / "fragmented.mp4",
        numbered_frames(20),
        key_frame_every=4,
        container_options={"movflags": "frag_keyframe+empty_moov"},
    )
    raw = write_video(
        tmp_path / "raw.m2v", numbered_frames(20), fps=25, codec="mpeg2video"
    )
    for path, fps in ((fragmented, 10.0), (raw, 25.0)):
        info = probe_video(path)
        assert info.num_frames == 20
        assert info.duration_seconds == pytest.approx(20 / fps, abs=1.5 / fps)
        frames = read_frames(path, middles(17, 2, fps=fps))
        assert frame_numbers(frames) == [17, 2]


def test_lying_frame_count_is_not_believed(tmp_path):
    path = write_video(tmp_path / "liar.avi", numbered_frames(20), codec="mpeg4")
    data = bytearray(path.read_bytes())
    for chunk, field in ((b"avih", 16), (b"strh", 32)):  # the numbers of frames
        place = data.index(chunk) + 8 + field
        assert struct.unpack_from("<I", data, place) == (20,)
        struct.pack_into("<I", data, place, 444)
    path.write_bytes(data)
    info = probe_video(path)
    assert info.num_frames == 20
    assert info.duration_seconds == pytest.approx(2.0, abs=0.11)
    assert info.header_duration_seconds == pytest.approx(44.4, abs=0.2)
    assert frame_numbers(read_frames(path, middles(19))) == [19]


# Size and orientation.


def test_scales_to_the_short_side_while_decoding(clip, tmp_path):
    assert read_frames(clip, [0.0], short_side=24).shape == (1, 24, 32, 3)
    assert read_frames(clip, [0.0], short_side=96).shape == (1, 96, 128, 3)
    tall = write_video(tmp_path / "tall.mp4", numbered_frames(2, height=80, width=40))
    assert read_frames(tall, [0.0], short_side=20).shape == (1, 40, 20, 3)


def test_odd_sizes(tmp_path):
    frames = numbered_frames(3, height=47, width=33)
    path = write_video(tmp_path / "odd.mkv", frames, codec="ffv1", pix_fmt="bgr0")
    np.testing.assert_array_equal(read_frames(path, middles(0, 1, 2)), frames)
    info = probe_video(path)
    assert (info.height, info.width) == (47, 33)


def rotate_by_metadata(path: Path, degrees_clockwise: int) -> None:
    """Writes a rotation into the matrix of the only track of an mp4 file."""
    a, b = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees_clockwise]
    one = 1 << 16
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    assert struct.unpack_from(">i", data, place) == (one,)
    struct.pack_into(">5i", data, place, a * one, b * one, 0, -b * one, a * one)
    path.write_bytes(data)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata_is_honoured(tmp_path, degrees):
    frames = np.full((3, 48, 64, 3), 40, np.uint8)
    frames[:, :24, :32] = 220  # the top left quarter is bright
    path = write_video(tmp_path / "phone.mp4", frames)
    rotate_by_metadata(path, degrees)
    expected = np.rot90(frames, -degrees // 90, axes=(1, 2))
    shown = read_frames(path, middles(0, 1, 2))
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).mean() < 5
    info = probe_video(path)
    assert info.rotation == 360 - degrees
    assert (info.height, info.width) == expected.shape[1:3]


# Files that are not, or not only, what they say.


@pytest.mark.parametrize(
    "name",
    ["sp ace.mp4", "'q\" u?o*te.mp4", "läuft 走る 🏃.mp4", "a:b 50% #1 %03d.mp4"],
)
def test_names_with_spaces_quotes_and_unicode(clip, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(clip.read_bytes())
    assert frame_numbers(read_frames(path, middles(9))) == [9]


def test_wrong_extension_is_read_by_content(clip, tmp_path):
    path = tmp_path / "really_an_mp4.avi"
    path.write_bytes(clip.read_bytes())
    assert probe_video(path).codec == "h264"
    assert frame_numbers(read_frames(path, middles(9))) == [9]


def test_one_frame(tmp_path):
    path = write_video(tmp_path / "one.mp4", numbered_frames(1))
    info = probe_video(path)
    assert info.num_frames == 1 and 0 < info.duration_seconds <= 0.11
    assert frame_numbers(read_frames(path, [0.0])) == [0]


def test_zero_bytes_garbage_and_nothing(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "garbage.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "text.mp4").write_text("not a video\n" * 50)
    for name, reason in [
        ("empty.mp4", r"empty.mp4: the file is empty \(0 bytes\)\."),
        ("garbage.mp4", "not a readable video"),
        ("text.mp4", "not a readable video"),
        ("missing.mp4", "missing.mp4: no such file"),
        ("", "is a folder"),
    ]:
        with pytest.raises(VideoError, match=reason) as caught:
            probe_video(tmp_path / name)
        assert caught.value.path == os.fspath(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_playlist_in_disguise_opens_nothing_else(clip, tmp_path):
    path = tmp_path / "list.mp4"
    path.write_text("#EXTM3U\n#EXTINF:10,\nhttp://localhost:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(VideoError):
        read_frames(path, [0.0])


def test_audio_only(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), np.float32), format="fltp", layout="mono"
        )
        sound.sample_rate = 16000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match="holds no video stream"):
        probe_video(path)


def test_truncated_index(clip, tmp_path):
    # Without "faststart" the index of an mp4 file comes last.
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[:-200])
    with pytest.raises(VideoError, match="not a readable video, or cut short"):
        probe_video(path)


def test_header_without_any_frames(tmp_path):
    whole = write_video(
        tmp_path / "whole.mp4",
        numbered_frames(5),
        container_options={"movflags": "frag_keyframe+empty_moov"},
    )
    data = whole.read_bytes()
    path = tmp_path / "header.mp4"
    path.write_bytes(data[: data.index(b"moof") - 4])
    with pytest.raises(
        VideoError, match="holds no frames that can be decoded|no video"
    ):
        probe_video(path)
    with VideoReader(path) as video:
        with pytest.raises(VideoError, match="holds no video frames"):
            _ = video.duration_seconds
        with pytest.raises(VideoError, match="holds no frames that can be decoded"):
            list(video.iterate_frames())


def test_start_without_a_key_frame_is_said(tmp_path):
    """Recordings cut out of a stream begin in the middle of a group of pictures."""
    whole = write_video(tmp_path / "w.ts", numbered_frames(20), key_frame_every=5)
    data = whole.read_bytes()
    packets = [data[k : k + 188] for k in range(0, len(data), 188)]
    path = tmp_path / "cut.ts"
    # The first two packets are tables, the first key frame follows.
    path.write_bytes(b"".join(packets[:3] + packets[9:]))
    with VideoReader(path) as video:
        assert video.duration_seconds > 1.4
        numbers = []
        for time in middles(*range(14)):
            try:
                numbers += frame_numbers(video.read_frames([time]))
            except VideoError as error:
                assert "cannot decode the frame at" in str(error)
        assert numbers == sorted(numbers) and len(numbers) >= 9


def test_timestamps_that_jump_back_are_damage(tmp_path):
    """One flipped bit in the first stamp puts all other frames before time zero."""
    path = write_video(
        tmp_path / "a.ts", numbered_frames(5), codec="mpeg2video", key_frame_every=1
    )
    data = bytearray(path.read_bytes())
    data[data.index(b"\x00\x00\x01\xe0") + 10] ^= 0x20
    path.write_bytes(data)
    with VideoReader(path) as video:
        with pytest.raises(VideoError, match="its timestamps make no sense"):
            _ = video.duration_seconds


@pytest.fixture(scope="module")
def noisy_frames() -> np.ndarray:
    """Frames that do not compress, so that damage hits picture data."""
    return np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8)


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv"])
def test_truncated_data_gives_the_frames_before_the_cut(tmp_path, noisy_frames, suffix):
    options = {"movflags": "faststart"} if suffix == "mp4" else {}
    whole = write_video(
        tmp_path / f"whole.{suffix}",
        noisy_frames,
        key_frame_every=10,
        container_options=options,
    )
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    with VideoReader(cut) as video:
        assert 1.5 < video.duration_seconds < 3.0
        last = int(video.duration_seconds * 10) - 2
        frames = video.read_frames(middles(0, last))
        np.testing.assert_array_equal(frames, read_frames(whole, middles(0, last)))
        with pytest.raises(VideoError, match="no frame at 3.75 s, it ends at|cannot"):
            video.read_frames(middles(37))
    assert probe_video(cut).header_duration_seconds in (None, pytest.approx(4, abs=0.1))


@pytest.mark.parametrize(
    ("codec", "suffix"), [("libx264", "mp4"), ("libx264", "mkv"), ("mpeg4", "mp4")]
)
def test_damaged_data_never_becomes_a_picture(tmp_path, noisy_frames, codec, suffix):
    whole = write_video(
        tmp_path / f"whole.{suffix}", noisy_frames, codec=codec, key_frame_every=10
    )
    reference = read_frames(whole, middles(*range(40)))
    data = bytearray(whole.read_bytes())
    middle = len(data) * 45 // 100
    data[middle : middle + 3000] = bytes(3000)
    damaged = tmp_path / f"damaged.{suffix}"
    damaged.write_bytes(data)
    failed = []
    with VideoReader(damaged) as video:
        for k in range(40):
            try:
                frame = video.read_frames(middles(k))
            except VideoError as error:
                assert "cannot decode the frame at" in str(error)
                failed.append(k)
            else:
                np.testing.assert_array_equal(frame[0], reference[k], str(k))
    assert failed and len(failed) <= 20
    assert failed == list(range(failed[0], failed[-1] + 1))
    with pytest.raises(VideoError, match="cannot decode the frame at"):
        list(iterate_frames(damaged))


# Arguments and iteration.


def test_time_behind_the_end(clip):
    with pytest.raises(VideoError, match=r"no frame at 2.50 s, it ends at 2.00 s\."):
        read_frames(clip, [0.0, 2.5])


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([], "must be a non-empty list"),
        ([[0.0]], r"Received: an array of shape \(1, 1\)"),
        ([-0.1], "finite and not negative"),
        ([np.nan], "finite and not negative"),
    ],
)
def test_bad_times(clip, times, message):
    with pytest.raises(ValueError, match=message):
        read_frames(clip, times)


def test_iterating_gives_every_frame_with_its_time(clip):
    seconds, frames = zip(*iterate_frames(clip, short_side=24), strict=True)
    np.testing.assert_allclose(seconds, np.arange(20) / 10, atol=1e-6)
    assert frame_numbers(np.stack(frames)) == list(range(20))
    assert frames[0].shape == (24, 32, 3)
    assert frames[0].flags.c_contiguous and frames[0].flags.writeable


def test_reading_while_iterating_is_refused(clip):
    with VideoReader(clip) as video:
        frames = video.iterate_frames()
        next(frames)
        video.read_frames([1.0])
        with pytest.raises(RuntimeError, match="Open a second VideoReader"):
            next(frames)


def test_error_crosses_processes(tmp_path):
    import pickle

    error = pickle.loads(pickle.dumps(VideoError("a.mp4", "the file is empty")))
    assert (error.path, error.reason) == ("a.mp4", "the file is empty")
    assert str(error) == "a.mp4: the file is empty."
