"""Which videos of a data set cannot be read, and why."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from keras_dynamonet.data.decoding import (
    VideoError,
    VideoInfo,
    probe_video,
)
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.video_opening import open_video_reader

# A header may promise a few frames too many; less than this share is worth a remark.
_COMPLETE_SHARE = 0.9


@dataclass(frozen=True)
class ScanResult:
    """What a scan found out about one file.

    Attributes:
        path: The file.
        ok: Whether all of its frames that were tried can be decoded.
        reason: Why not; empty if they can.
        remark: What is odd about a readable file, e.g. that it is cut short.
        info: Size, rate and length, if the file could be opened.
    """

    path: str
    ok: bool
    reason: str = ""
    remark: str = ""
    info: VideoInfo | None = None


def scan_videos(
    manifest: Manifest,
    *,
    thorough: bool = True,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[ScanResult]:
    """Tries every video of a manifest, several at a time.

    Args:
        manifest: The videos.
        thorough: Decode every frame; False decodes the first, middle and last one.
        workers: Videos at a time; None for the number of processors.
        progress: Called with the numbers of videos done and in all.

    Returns:
        One result a video, in the order of the manifest.

    Raises:
        ValueError: `workers` is less than 1.

    Example:

    ```python
    for result in scan_videos(load_manifest("videos/", labelled=False)):
        if not result.ok:
            print(result.path, result.reason)
    ```
    """
    workers = workers if workers is not None else os.cpu_count() or 1
    if workers < 1:
        raise ValueError(f"`workers` must be at least 1. Received: workers={workers}.")
    paths = [manifest.path(index) for index in range(len(manifest))]
    results = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            for result in pool.map(lambda path: scan_video(path, thorough), paths):
                results.append(result)
                if progress is not None:
                    progress(len(results), len(paths))
        except BaseException:
            pool.shutdown(cancel_futures=True)  # Ctrl-C ends at once
            raise
    return results


def scan_video(path: str | os.PathLike, thorough: bool = True) -> ScanResult:
    """Tries one video.

    Args:
        path: The file.
        thorough: Decode every frame; False decodes the first, middle and last one.
    """
    path = os.fspath(path)
    info = None
    try:
        info = probe_video(path)
        with open_video_reader(path) as video:
            if thorough:
                video.count_frames()
            else:
                video.read_frames(np.array([0.0, 0.5, 1.0]) * video.frame_times[-1])
    except VideoError as error:
        return ScanResult(path, False, error.reason, info=info)
    return ScanResult(path, True, remark=_remark(info), info=info)


def _remark(info: VideoInfo) -> str:
    promised = info.header_duration_seconds
    if promised and info.duration_seconds < _COMPLETE_SHARE * promised:
        return (
            f"is cut short or has a wrong header: {info.duration_seconds:.2f} s of "
            f"{promised:.2f} s are there"
        )
    return ""
