"""Packing a data set into shards: several processes, resumable, complete or not used.

```
OUT/pack.json                          settings, fingerprint, whether it is complete
OUT/index/                             paths, labels and splits, as mapped columns
OUT/shard-00000-of-00016.tfrecord      the videos, and beside each shard:
OUT/shard-00000-of-00016.index         where each record is, and its checksum
OUT/shard-00000-of-00016.json          the checksum of the file, and what was left out
```

Videos are dealt out to the shards in turn, so that each shard is a mixture of a data
set that is sorted by class; the index keeps the order of the data set.
"""

import dataclasses
import hashlib
import itertools
import json
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path, PurePosixPath

import numpy as np

from keras_dynamonet.data.bad_files import BadShare
from keras_dynamonet.data.entry_table import Entry, EntryTable
from keras_dynamonet.data.file_checks import file_sizes, refuse_duplicates
from keras_dynamonet.data.listing import Listing
from keras_dynamonet.data.pack_folder import open_pack_folder, write_pack_file
from keras_dynamonet.data.packed_layout import FORMAT, INDEX_FOLDER
from keras_dynamonet.data.places import join_path, local_folder
from keras_dynamonet.data.shard_writing import (
    PackSettings,
    ShardSummary,
    Source,
    finished_shard,
    shard_name,
    write_shard,
)
from keras_dynamonet.data.shards import PackedAddress
from keras_dynamonet.data.video_file import VideoError
from keras_dynamonet.errors import UserError
from keras_dynamonet.files import atomic_path
from keras_dynamonet.machine import count_cpus

_logger = logging.getLogger(__name__)


def pack_videos(
    listing: Listing,
    out: str | os.PathLike,
    settings: PackSettings | None = None,
    *,
    workers: int | None = None,
    max_bad_share: float = 0.1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    initializer: Callable[[], None] | None = None,
) -> dict:
    """Packs the videos of a listing into a folder of shards.

    A run that was stopped goes on with the shards that are not finished. With several
    workers, call it from a module that is safe to import, below
    `if __name__ == "__main__":`.

    Args:
        listing: The videos, from `read_listing`.
        out: The folder.
        settings: How to pack; None for the defaults.
        workers: Processes; None for one a processor. One works in this process.
        max_bad_share: Stop when more than this share of the videos (and more than one)
            cannot be read.
        overwrite: Replace another packing in `out`; files that no packing writes stay.
        progress: Called with the numbers of videos done and in all.
        initializer: Called first in each of several processes.

    Returns:
        What `pack.json` says: among others `videos`, `bad` (reasons by path), `bytes`,
        `fingerprint`.

    Raises:
        UserError: `out` holds something else or what is to be packed, is an address, or
            too many videos are bad.
        ValueError: `workers` is less than 1.

    Example:

    ```python
    listing = read_listing(Path("videos"))
    pack_videos(listing, "packed", PackSettings(fps=12.0, short_side=128))
    ```
    """
    settings = settings or PackSettings()
    workers = count_cpus() if workers is None else workers
    if workers < 1:
        raise ValueError(f"`workers` must be at least 1. Received: workers={workers}.")
    out = local_folder(out)
    if not listing.verified:
        _refuse_duplicates(listing)
    plan = _plan(listing, settings)
    earlier = open_pack_folder(out, listing, plan, overwrite=overwrite)
    if earlier is not None and earlier["complete"]:
        _logger.info("%s is packed already", out)
        return earlier
    write_pack_file(out, plan | {"complete": False})
    rows = _first_rows(listing.entries)
    bad = BadShare(len(rows), max_bad_share)
    summaries, done = {}, 0
    for number, summary in _write_shards(
        listing, rows, out, settings, workers, initializer
    ):
        summaries[number] = summary
        for path, reason in summary.bad.items():
            _logger.warning("Bad video: %s: %s", path, reason)
            bad.add(path, VideoError(path, reason))
        bad.check()
        done += len(summary.sizes)
        if progress is not None:
            progress(done, len(rows))
    return _finish(listing.entries, rows, out, plan, summaries)


def _refuse_duplicates(listing: Listing) -> None:
    entries = listing.entries
    if not listing.overlapping_splits:
        refuse_duplicates(entries, listing.root)
        return
    for split in np.unique(entries.splits):
        part = entries.take(np.flatnonzero(entries.splits == split))
        refuse_duplicates(part, listing.root)


def _plan(listing: Listing, settings: PackSettings) -> dict:
    """What decides the contents; a run goes on only with the same plan."""
    digest = hashlib.sha256()
    entries = listing.entries
    sizes = entries.sizes
    if sizes is None:
        sizes = file_sizes(listing.root, entries.paths)
    for column in (entries.labels, entries.splits, sizes):
        digest.update(np.ascontiguousarray(column))
    # The columns number labels and splits in the order in which they are met.
    names = itertools.chain(entries.label_names, entries.split_names)
    for text in itertools.chain(names, entries.paths):
        digest.update(f"{text}\n".encode("utf-8", "surrogateescape"))
    return {
        "format": FORMAT,
        "settings": dataclasses.asdict(settings),
        "source": str(listing.root),
        "source_layout": listing.layout,
        "source_fingerprint": digest.hexdigest(),
        "class_names": listing.class_names and list(listing.class_names),
        "numeric_labels": listing.numeric_labels,
        "overlapping_splits": listing.overlapping_splits,
    }


def _first_rows(entries: EntryTable) -> np.ndarray:
    """One row for each different path: lists may name a video in several splits."""
    rows = {path: row for row, path in reversed(list(enumerate(entries.paths)))}
    return np.array(sorted(rows.values()))


def _write_shards(
    listing: Listing,
    rows: np.ndarray,
    out: Path,
    settings: PackSettings,
    workers: int,
    initializer: Callable[[], None] | None,
) -> Iterator[tuple[int, ShardSummary]]:
    """Yields the number and summary of each shard, as they are finished."""
    count = _num_shards(rows, settings)
    open_shards = []
    for number in range(count):
        summary = finished_shard(out / shard_name(number, count))
        if summary is None:
            open_shards.append(number)
        else:
            yield number, summary

    def arguments(number: int) -> tuple:
        sources = [
            _source(listing, listing.entries[row]) for row in rows[number::count]
        ]
        return out / shard_name(number, count), sources, settings

    workers = min(workers, len(open_shards))
    if workers <= 1:
        for number in open_shards:
            yield number, write_shard(*arguments(number))
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer) as pool:
        try:
            running = {}
            while open_shards or running:
                # No more than the processes need: arguments hold many paths.
                while open_shards and len(running) < 2 * workers:
                    number = open_shards.pop(0)
                    running[pool.submit(write_shard, *arguments(number))] = number
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield running.pop(future), future.result()
        except BrokenProcessPool:
            raise UserError(
                f"{out}: a process that packed was killed, perhaps for its memory. The "
                "same command with fewer --workers goes on."
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)  # Ctrl-C ends at once
            raise


def _num_shards(rows: np.ndarray, settings: PackSettings) -> int:
    return -(-len(rows) // settings.videos_per_shard)


def _source(listing: Listing, entry: Entry) -> Source:
    return Source(join_path(listing.root, entry.path), _name(entry), entry.label)


def _name(entry: Entry) -> str:
    """The path without anything that would lead out of its folder."""
    path = PurePosixPath(entry.path.replace(os.sep, "/"))
    return "/".join(part for part in path.parts if part not in ("/", ".."))


def _finish(
    entries: EntryTable,
    rows: np.ndarray,
    out: Path,
    plan: dict,
    summaries: dict[int, ShardSummary],
) -> dict:
    """Writes the index and declares the folder complete."""
    count = len(summaries)
    addresses, sizes, bad = {}, {}, {}
    for number, summary in sorted(summaries.items()):
        bad |= summary.bad
        record = 0
        for row, size in zip(rows[number::count], summary.sizes, strict=True):
            if size < 0:
                continue
            entry = entries[row]
            shard = f"{shard_name(number, count)}.tfrecord"
            addresses[entry.path] = str(PackedAddress(shard, record, _name(entry)))
            sizes[entry.path] = size
            record += 1
    kept = [row for row, path in enumerate(entries.paths) if path in addresses]
    if not kept:
        raise UserError(f"{out}: none of the videos could be read.")
    index = EntryTable.from_entries(
        dataclasses.replace(entry, path=addresses[entry.path])
        for entry in entries.take(kept)
    ).with_sizes(np.array([sizes[entries.paths[row]] for row in kept], np.int64))
    with atomic_path(out / INDEX_FOLDER) as temporary:
        temporary.mkdir()
        index.save(temporary)
    digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode())
    for _, summary in sorted(summaries.items()):
        digest.update(summary.sha256.encode())
    pack = plan | {
        "complete": True,
        "videos": len(addresses),
        "shards": count,
        "bytes": sum(summary.num_bytes for summary in summaries.values()),
        "bad": dict(sorted(bad.items())),
        "fingerprint": digest.hexdigest(),
    }
    write_pack_file(out, pack)
    return pack
