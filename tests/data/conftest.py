"""A small data set that other tests of the pipeline share."""

from pathlib import Path

import pytest

from keras_dynamonet.data.manifest import Manifest
from tests.video_files import numbered_frames, write_video


@pytest.fixture(scope="session")
def eight_videos(tmp_path_factory) -> Manifest:
    """Eight videos of 12 frames, 48 x 64 px, 10 fps; the first level is 20 + 30 k."""
    root = tmp_path_factory.mktemp("eight videos")
    for k in range(8):
        frames = numbered_frames(12, step=2) + 30 * k
        write_video(root / f"v{k}.mp4", frames, codec_options={"qp": "0"})
    names = tuple(f"v{k}.mp4" for k in range(8))
    return Manifest(root, names, [0, 1, 2, 3, 0, 1, 2, -1], ("a", "b", "c", "d"))


@pytest.fixture
def with_bad_files(eight_videos, tmp_path) -> Manifest:
    """The eight videos and four files that cannot be read."""
    paths = [eight_videos.path(k) for k in range(8)]
    for k in range(4):
        bad = Path(tmp_path, f"bad{k}.mp4")
        bad.write_bytes(b"" if k % 2 else b"garbage" * 100)
        paths.append(str(bad))
    labels = [*eight_videos.labels, 0, 1, 2, 3]
    return Manifest(tmp_path, tuple(paths), labels, eight_videos.class_names)
