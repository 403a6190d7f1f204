"""What the contestants of the decoding benchmark do: clips from random places of files.

A clip is 16 frames in a row, its short side scaled to 112 pixels, RGB. All decode the
same frames of the same files with as many workers (threads), one decoder thread each.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.contestant import Work
from benchmarks.videos import FPS, FRAMES

CLIP_FRAMES, SHORT_SIDE = 16, 112
CLIPS_PER_STEP = 16


def ours(folder: str, kind: str, workers: int, threads: int) -> Work:
    """`VideoReader`, as the training pipeline uses it."""
    import av

    from keras_dynamonet.data.clip_sampling import ClipSpec, clip_times
    from keras_dynamonet.data.video_reader import VideoReader

    spec = ClipSpec(num_frames=CLIP_FRAMES - 1, size=SHORT_SIDE)

    def read(path, start, size):
        with VideoReader(path) as video:
            times = clip_times(video, spec, start / video.fps)
            return video.read_frames(times, short_side=SHORT_SIDE)

    return _work(read, folder, kind, workers, f"PyAV {av.__version__}")


def pyav(
    folder: str, kind: str, workers: int, threads: int, interpolation: str = "BILINEAR"
) -> Work:
    """PyAV as its documentation shows it: seek, decode, reformat.

    Args:
        folder: Of the videos.
        kind: Of the videos.
        workers: Threads that read a video each.
        threads: Unused: each has one decoder thread.
        interpolation: PyAV's own, or `"BICUBIC"` as :func:`ours`.
    """
    import av

    def read(path, start, size):
        width, height = size
        with av.open(path) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            first = round(start / FPS / stream.time_base)
            container.seek(first + (stream.start_time or 0), stream=stream)
            frames = []
            for frame in container.decode(stream):
                if frame.pts - (stream.start_time or 0) < first:
                    continue
                rgb = frame.reformat(
                    width, height, "rgb24", interpolation=interpolation
                )
                frames.append(rgb.to_ndarray())
                if len(frames) == CLIP_FRAMES:
                    return np.stack(frames)
        raise RuntimeError(f"{path} ended too early")

    return _work(read, folder, kind, workers, f"PyAV {av.__version__}")


def opencv(folder: str, kind: str, workers: int, threads: int) -> Work:
    """OpenCV's `VideoCapture`, frame by frame after setting the position."""
    import cv2

    cv2.setNumThreads(1)

    def read(path, start, size):
        options = [cv2.CAP_PROP_N_THREADS, 1]
        capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, options)
        capture.set(cv2.CAP_PROP_POS_FRAMES, start)
        clip = np.empty((CLIP_FRAMES, size[1], size[0], 3), np.uint8)
        for frame in clip:
            _, picture = capture.read()
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=frame)
        capture.release()
        return clip

    return _work(read, folder, kind, workers, f"OpenCV {cv2.__version__}")


def decord(folder: str, kind: str, workers: int, threads: int) -> Work:
    """decord2's `VideoReader`, which scales while decoding."""
    import decord

    def read(path, start, size):
        width, height = size
        video = decord.VideoReader(path, width=width, height=height, num_threads=1)
        return video.get_batch(range(start, start + CLIP_FRAMES)).asnumpy()

    return _work(read, folder, kind, workers, f"decord2 {decord.__version__}")


def torchcodec(folder: str, kind: str, workers: int, threads: int) -> Work:
    """TorchCodec's `VideoDecoder`, looking up key frames as it goes."""
    import torchcodec
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    def read(path, start, size):
        video = VideoDecoder(
            path,
            dimension_order="NHWC",
            num_ffmpeg_threads=1,
            seek_mode="approximate",
            transforms=[Resize((size[1], size[0]))],
        )
        return video.get_frames_in_range(start, start + CLIP_FRAMES).data.numpy()

    version = torchcodec.__version__
    return _work(read, folder, kind, workers, f"TorchCodec {version}")


def _work(
    read: Callable[[str, int, tuple[int, int]], np.ndarray],
    folder: str,
    kind: str,
    workers: int,
    runtime: str,
) -> Work:
    """Clips from a fixed list of places, read side by side."""
    import av

    paths = sorted(str(path) for path in Path(folder).glob(f"{kind}-*"))
    with av.open(paths[0]) as container:
        stream = container.streams.video[0]
        scale = SHORT_SIDE / min(stream.width, stream.height)
        size = round(stream.width * scale), round(stream.height * scale)
    rng = np.random.default_rng(0)
    starts = rng.integers(0, FRAMES - CLIP_FRAMES + 1, 16 * CLIPS_PER_STEP)
    jobs = [(paths[k % len(paths)], int(start)) for k, start in enumerate(starts)]
    pool = ThreadPoolExecutor(workers)
    turn = iter(range(10**9))

    def step():
        first = next(turn) * CLIPS_PER_STEP % len(jobs)
        chosen = jobs[first : first + CLIPS_PER_STEP]
        return list(pool.map(lambda job: read(*job, size), chosen))

    def outputs():
        clips = np.stack([read(*job, size) for job in jobs[:4]])
        # Squares of 7x7 pixels: scalers differ in the last bits of a pixel.
        blocks = clips[:, :, : size[1] // 7 * 7, : size[0] // 7 * 7].astype(np.float32)
        shape = (*blocks.shape[:2], size[1] // 7, 7, size[0] // 7, 7, 3)
        return {"blocks": blocks.reshape(shape).mean(axis=(3, 5))}

    return Work(step, outputs, runtime, CLIPS_PER_STEP)
