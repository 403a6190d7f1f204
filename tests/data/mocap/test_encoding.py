import av
import numpy as np

from keras_dynamonet.data.mocap.encoding import write_clip


def decode(path):
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames]), frames


def moving_square(frames=6):
    rng = np.random.default_rng(0)
    clip = np.full((frames, 32, 32, 3), 90, np.uint8)
    for index, frame in enumerate(clip):
        frame[8:20, 2 + 3 * index : 12 + 3 * index] = (220, 60, 40)
    noise = rng.integers(-8, 9, clip.shape)
    return np.clip(clip + noise, 0, 255).astype(np.uint8)


def test_reversed_clip_decodes_to_exactly_the_same_frames(tmp_path):
    clip = moving_square()
    write_clip(tmp_path / "forwards.mp4", clip, 12.0)
    write_clip(tmp_path / "backwards.mp4", clip[::-1].copy(), 12.0)
    forwards, pictures = decode(tmp_path / "forwards.mp4")
    backwards, _ = decode(tmp_path / "backwards.mp4")
    np.testing.assert_array_equal(forwards, backwards[::-1])
    assert all(picture.key_frame for picture in pictures)
    assert np.abs(forwards.astype(int) - clip).mean() < 12


def test_rate_and_bytes(tmp_path):
    clip = moving_square()
    for name in ("one.mp4", "two.mp4"):
        write_clip(tmp_path / "new" / name, clip, 12.5)
    files = sorted((tmp_path / "new").iterdir())
    assert files[0].read_bytes() == files[1].read_bytes()
    assert len(files) == 2
    with av.open(str(files[0])) as container:
        assert container.streams.video[0].average_rate == 12.5
        assert container.streams.video[0].codec_context.name == "h264"
