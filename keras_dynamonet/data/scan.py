"""Which videos of a data set cannot be read, and why."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_dynamonet.data.decoding import VideoError, VideoInfo, probe_video
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.scan_cache import ScanCache, ScanResult, file_state
from keras_dynamonet.data.video_opening import open_video_reader
from keras_dynamonet.machine import count_cpus

# A header may promise a few frames too many; less than this share is worth a remark.
_COMPLETE_SHARE = 0.9


def scan_videos(
    manifest: Manifest,
    *,
    thorough: bool = True,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache: ScanCache | None = None,
) -> list[ScanResult]:
    """Tries every video of a manifest, several at a time.

    Args:
        manifest: The videos.
        thorough: Decode every frame; False decodes the first, middle and last one.
        workers: Videos at a time; None for the number of processors.
        progress: Called with the numbers of videos done and in all.
        cache: Results of earlier scans; files that have not changed are not read.

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
    return list(
        iterate_scan(
            manifest,
            thorough=thorough,
            workers=workers,
            progress=progress,
            cache=cache,
        )
    )


def iterate_scan(
    manifest: Manifest,
    *,
    thorough: bool = True,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache: ScanCache | None = None,
) -> Iterator[ScanResult]:
    """Yields what `scan_videos` returns, one by one: for lists of any length.

    Args:
        manifest: As for `scan_videos`, like all others.
        thorough: Decode every frame.
        workers: Videos at a time.
        progress: Called with the numbers of videos done and in all.
        cache: Results of earlier scans.

    Raises:
        ValueError: `workers` is less than 1.
    """
    workers = count_cpus() if workers is None else workers
    if workers < 1:
        raise ValueError(f"`workers` must be at least 1. Received: workers={workers}.")

    def scan(index: int) -> ScanResult:
        path = manifest.path(index)
        if cache is None:
            return scan_video(path, thorough)
        state = file_state(path)
        result = cache.find(path, state, thorough)
        if result is None:
            result = scan_video(path, thorough)
            # What did not even open, for want of a permission say, is tried again.
            if result.info is not None:
                cache.keep(result, state, thorough)
        return result

    count, submitted, running = len(manifest), 0, deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for done in range(1, count + 1):
                # A few ahead, not a million.
                while submitted < count and len(running) < 4 * workers:
                    running.append(pool.submit(scan, submitted))
                    submitted += 1
                yield running.popleft().result()
                if progress is not None:
                    progress(done, count)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # Ctrl-C ends at once
            raise


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
