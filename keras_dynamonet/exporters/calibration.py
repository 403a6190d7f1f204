"""Real clips: what artefacts are compared on, and what INT8 ranges come from."""

import functools
import hashlib
import logging
import os
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from keras_dynamonet.data.bad_files import BadFileLog
from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.data.manifest import load_manifest
from keras_dynamonet.data.pipeline import evaluation_dataset
from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.parity import BATCH_SIZES, PROVING_CLIPS

_logger = logging.getLogger(__name__)

EXACT_PARITY_CLIPS = 64
PARITY_CLIPS = 256
"""Where a few clips may change their class, fewer would leave it to one or two."""
CALIBRATION_CLIPS = 128
CALIBRATING_CLIPS = 16
"""Ranges from fewer are told to be weak."""

# The splits that clips are taken from, first choice first.
_PARITY_SPLITS = ("validation", "test")
_CALIBRATION_SPLITS = ("train",)


@dataclass(frozen=True)
class ExportClips:
    """Clips for comparing and clips for calibrating, from different videos.

    Args:
        parity: uint8 `(n, T, height, width, 3)`.
        calibration: uint8 `(m, T, height, width, 3)`, no video of which is in
            `parity` when there are enough videos; may be empty where INT8 is not made.
        source: Where they come from, in words for the reports.

    Raises:
        UserError: If the clips are no uint8 clips of one shape.
    """

    parity: np.ndarray
    calibration: np.ndarray
    source: str

    def __post_init__(self):
        for clips in (self.parity, self.calibration):
            _require_clips(clips, self.source)

    @functools.cached_property
    def parity_hashes(self) -> tuple[bytes, ...]:
        """One for each clip to compare on: the same clip again proves nothing more."""
        return _hash_each(self.parity)

    def to_calibrate_with(self) -> np.ndarray:
        """The clips for calibrating.

        Raises:
            UserError: If there are none.
        """
        if not len(self.calibration):
            raise UserError(f"{self.source}: INT8 needs clips to calibrate with.")
        return self.calibration

    def check(self, spec: ClipSpec) -> None:
        """Checks that the clips fit a network.

        Raises:
            UserError: If they have another length or size.
        """
        shape = (spec.num_frames, spec.size, spec.size, 3)
        for clips in (self.parity, self.calibration):
            if clips.shape[1:] != shape:
                raise UserError(
                    f"{self.source}: clips have the shape {clips.shape[1:]}, but the "
                    f"network takes {shape}."
                )


def clip_counts(precisions: Sequence[str]) -> tuple[int, int]:
    """How many clips artefacts need, unless a user says otherwise.

    Args:
        precisions: Those of the artefacts.

    Returns:
        Clips to compare on and clips to calibrate with.

    Example:

    >>> clip_counts(["float32"]), clip_counts(["float32", "int8"])
    ((64, 0), (256, 128))
    """
    exact = set(precisions) <= {"float32"}
    return (
        EXACT_PARITY_CLIPS if exact else PARITY_CLIPS,
        CALIBRATION_CLIPS if "int8" in precisions else 0,
    )


def load_export_clips(
    data: str | os.PathLike,
    spec: ClipSpec,
    *,
    layout: str = "auto",
    video_root: str | os.PathLike | None = None,
    precisions: Sequence[str] = ("int8",),
    num_parity: int | None = None,
    num_calibration: int | None = None,
    seed: int = 0,
) -> ExportClips:
    """Takes clips from a user's videos.

    Where DATA has splits, networks are compared on `validation` (or `test`) and
    calibrated on `train`; else the videos are shared out between the two. Of few videos
    several clips each are taken.

    Args:
        data: A folder of videos, a list of videos (any layout that training takes), or
            a `.npy` file of clips, uint8 `(clips, frames, height, width, 3)`.
        spec: The clips that the network takes.
        layout: How to read `data`, see :func:`keras_dynamonet.data.load_manifest`.
        video_root: Folder that the paths in a list start from.
        precisions: Those of the artefacts, which say how many clips are taken.
        num_parity: Clips to compare on. Default: see :func:`clip_counts`; of an array
            with too few clips for both, its share.
        num_calibration: Clips to calibrate with. Default: see :func:`clip_counts`.
        seed: Picks the videos.

    Returns:
        The clips.

    Raises:
        UserError: If there are no clips, they do not fit the network, or those to
            compare on are all the same.
    """
    usual_parity, usual_calibration = clip_counts(precisions)
    if num_calibration is None:
        num_calibration = usual_calibration
    if Path(data).suffix == ".npy":
        clips = _load_array(Path(data))
        if num_parity is None:
            share = _parity_share(len(clips), usual_parity, num_calibration)
            num_parity = min(usual_parity, share)
        clips = share_out(clips, num_parity, num_calibration, source=str(data))
    else:
        rng = np.random.default_rng(seed)
        listing = {"data": data, "layout": layout, "video_root": video_root}
        if num_parity is None:
            num_parity = usual_parity
        clips = _from_videos(listing, spec, num_parity, num_calibration, rng)
    clips.check(spec)
    clips = _distinct_first(clips)
    distinct = len(set(clips.parity_hashes))
    if distinct == 1 < len(clips.parity):
        raise UserError(
            f"{data}: all clips to compare on are the same, which proves nothing. "
            "Name other videos with --data."
        )
    if distinct < PROVING_CLIPS:
        _logger.warning(
            "%s: compared on %s only, fewer than %d prove little: give more with "
            "--clips or --data",
            data,
            _clips_in_words(distinct, len(clips.parity)),
            PROVING_CLIPS,
        )
    distinct = len(set(_hash_each(clips.calibration)))
    if num_calibration and distinct < CALIBRATING_CLIPS:
        _logger.warning(
            "%s: INT8 is calibrated on %s only, fewer than %d make poor ranges: "
            "give more with --calibration-clips or --data",
            data,
            _clips_in_words(distinct, len(clips.calibration)),
            CALIBRATING_CLIPS,
        )
    return clips


def share_out(
    clips: np.ndarray,
    num_parity: int = EXACT_PARITY_CLIPS,
    num_calibration: int = CALIBRATION_CLIPS,
    *,
    source: str = "array",
) -> ExportClips:
    """Shares out clips that are in memory already.

    Args:
        clips: uint8 `(clips, frames, height, width, 3)`.
        num_parity: Clips to compare on, from the front; all if there are no more.
        num_calibration: Clips to calibrate with, from the back.
        source: Where they come from, for messages.

    Raises:
        UserError: If there are no clips.

    Example:

    >>> clips = np.zeros((72, 16, 64, 64, 3), "uint8")
    >>> len(share_out(clips).calibration)
    8
    """
    if not len(clips):
        raise UserError(f"{source}: holds no clips.")
    left = len(clips) - num_parity
    if left <= 0 and num_calibration:
        _warn_of_shared_clips(source)
    own = clips[num_parity:] if left > 0 else clips
    calibration = own[max(0, len(own) - num_calibration) :]
    return ExportClips(clips[:num_parity], calibration, source)


def _hash_each(clips):
    return tuple(hashlib.sha256(np.ascontiguousarray(clip)).digest() for clip in clips)


def _distinct_first(clips):
    """Clips that come again would count again: they only fill up all batch sizes.

    They stand at the end, because some signatures see the first clips alone.
    """
    hashes = clips.parity_hashes
    first = {}
    for index, value in enumerate(hashes):
        first.setdefault(value, index)
    if len(first) == len(hashes):
        return clips
    chosen = set(first.values())
    again = [index for index in range(len(hashes)) if index not in chosen]
    kept = [*first.values(), *again][: max(len(first), sum(BATCH_SIZES))]
    return replace(clips, parity=clips.parity[kept])


def _clips_in_words(distinct, count):
    again = "" if distinct == count else f" ({count} with repetitions)"
    return f"{distinct} clips{again}"


def _warn_of_shared_clips(source):
    _logger.warning(
        "%s: INT8 is calibrated on what it is compared on: give more with --data",
        source,
    )


def _load_array(path):
    try:
        # numpy.load would also take archives, whatever their name.
        with open(path, "rb") as file:
            clips = np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"{path}: cannot be read: {reason}. Name another file with --data."
        ) from error
    # The last two of a damaged header, which NumPy reads as Python.
    except (ValueError, SyntaxError, tokenize.TokenError) as error:
        raise UserError(
            f"{path}: cannot be read as an array. Write it with numpy.save."
        ) from error
    _require_clips(clips, path)
    return clips


def _require_clips(clips, source):
    if clips.dtype != np.uint8 or clips.ndim != 5 or clips.shape[-1] != 3:
        raise UserError(
            f"{source}: clips must be uint8 RGB of shape (clips, frames, height, "
            f"width, 3). Received: {clips.dtype} {clips.shape}"
        )


def _from_videos(listing, spec, num_parity, num_calibration, rng):
    parity = _load_split(listing, _PARITY_SPLITS)
    calibration = _load_split(listing, _CALIBRATION_SPLITS)
    if parity is None or calibration is None:
        videos = load_manifest(**listing, labelled=False)
        videos = videos.subset(rng.permutation(len(videos)))
        if len(videos) == 1 and num_calibration:
            _warn_of_shared_clips(str(listing["data"]))
        cut = _parity_share(len(videos), num_parity, num_calibration)
        parity = videos.subset(range(cut))
        calibration = videos.subset(range(cut % len(videos), len(videos)))
    else:
        parity = parity.subset(rng.permutation(len(parity)))
        calibration = calibration.subset(rng.permutation(len(calibration)))
    return ExportClips(
        _read_clips(parity, spec, num_parity),
        _read_clips(calibration, spec, num_calibration),
        str(listing["data"]),
    )


def _parity_share(available, num_parity, num_calibration):
    """How many of the videos or clips there are to compare on; a single one is both."""
    share = round(available * num_parity / (num_parity + num_calibration))
    others = 1 if num_calibration else 0
    return max(1, min(share, available - others))


def _load_split(listing, splits):
    """The first of the splits that DATA has, if it has one."""
    for split in splits:
        try:
            return load_manifest(**listing, split=split, labelled=False)
        except UserError:
            continue
    return None


def read_video_clips(
    video: str | os.PathLike, spec: ClipSpec, num_clips: int = 1
) -> np.ndarray:
    """Clips spread over one video.

    Args:
        video: The file.
        spec: The clips that the network takes.
        num_clips: How many.

    Returns:
        uint8 `(num_clips, T, height, width, 3)`.

    Raises:
        UserError: If the video cannot be read.
    """
    return _read_clips(load_manifest(video, labelled=False), spec, num_clips)


def _read_clips(videos, spec, count):
    """`count` clips, as many of each video as that takes."""
    if not count:
        return np.empty((0, spec.num_frames, spec.size, spec.size, 3), np.uint8)
    bad_files = BadFileLog()
    dataset = evaluation_dataset(
        videos,
        spec,
        batch_size=8,
        num_clips=max(1, -(-count // len(videos))),
        max_bad_share=1.0,
        bad_file_log=bad_files,
    )
    clips, found = [], 0
    for batch, _, _ in dataset:  # videos that cannot be read make room for others
        clips.append(batch.numpy()[:, : spec.num_frames])
        found += len(batch)
        if found >= count:
            break
    if not clips:
        reasons = [f"{path}: {why}" for path, why in bad_files.reasons.items()]
        raise UserError(
            f"{videos.path(0)}: no clips could be read. {' '.join(reasons[:1])}"
        )
    return np.concatenate(clips)[:count]
