"""What sample n of the data is: a pure function of the seed and n, in NumPy.

Sample n of the endless training stream is number `n % N` of epoch `n // N`, where N is
the number of videos. Each epoch is a permutation of its own, and each sample has its
own random numbers, seeded by (seed, epoch, video). So a run that stops anywhere can go
on anywhere, and how many threads there are changes nothing. Where labelled videos come
again more often than others, each kind is such a stream, and they take turns.
"""

import functools

import numpy as np

from keras_dynamonet.data.bad_files import BAD_FILE_POLICIES, BadFileLog, BadShare
from keras_dynamonet.data.clip_sampling import (
    ClipSpec,
    clip_times,
    random_start,
    uniform_starts,
)
from keras_dynamonet.data.label_mix import LabelMix
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.data.shuffle import Shuffle
from keras_dynamonet.data.transforms import (
    Augmentation,
    apply_transform,
    draw_transform,
    uniform_crops,
)
from keras_dynamonet.data.video_file import VideoError, VideoTooShortError
from keras_dynamonet.data.video_opening import open_video_reader
from keras_dynamonet.errors import UserError

# Streams of random numbers that must not meet, whatever epoch and video are.
_PERMUTATION, _CLIP, _SUBSTITUTE, _LABELLED_PERMUTATION = 0, 1, 2, 3
# Under "resample": how often another clip of the same video is tried.
_RESAMPLES = 3


class TrainingClips:
    """Sample n of the endless training stream, by calling it with n.

    Args:
        manifest: The videos.
        spec: Shape and pace of the clips.
        seed: Not negative.
        augmentation: What may vary from clip to clip; None for the defaults.
        labelled_share: Least share of samples with a label, see :class:`LabelMix`.
        bad_files: What to do with a video that cannot be read: `"raise"`, `"skip"`
            (another video takes its place) or `"resample"` (first other clips of the
            same video, then another video). Which one is a function of the seed.
        max_bad_share: Stop when more than this share of the files (and more than one)
            is bad.
        bad_file_log: Where bad files are counted.

    Raises:
        ValueError: An argument is out of range.
        UserError: The manifest is empty.

    Example:

    ```python
    clips = TrainingClips(manifest, ClipSpec(num_frames=16, size=64), seed=0)
    clip, label = clips(0)
    clip.shape  # (17, 64, 64, 3)
    ```
    """

    def __init__(
        self,
        manifest: Manifest,
        spec: ClipSpec,
        *,
        seed: int,
        augmentation: Augmentation | None = None,
        labelled_share: float = 0.0,
        bad_files: str = "skip",
        max_bad_share: float = 0.1,
        bad_file_log: BadFileLog | None = None,
    ):
        _check_arguments(manifest, bad_files, max_bad_share)
        if seed < 0:
            raise ValueError(f"`seed` must not be negative. Received: seed={seed}.")
        self.manifest = manifest
        self.spec = spec
        self.seed = seed
        self.augmentation = augmentation or Augmentation()
        self.bad_files = bad_files
        self.max_bad_share = max_bad_share
        self.bad_file_log = bad_file_log if bad_file_log is not None else BadFileLog()
        self._bad_videos = BadShare(len(manifest), max_bad_share)
        self._mix = LabelMix(manifest.labels, labelled_share)
        # Threads work on the end of one epoch and the beginning of the next.
        kept = 2 * len(self._mix.groups)
        self._shuffle = functools.lru_cache(maxsize=kept)(self._draw_shuffle)

    def __call__(self, sample: int) -> tuple[np.ndarray, np.int32]:
        """Returns sample number `sample`.

        Returns:
            Clip, uint8 RGB `(frames, height, width, 3)`, and label.

        Raises:
            UserError: A bad file under `"raise"`, too many bad files, or no good one.
        """
        group, number = self._mix.turn(int(sample))
        epoch, position = divmod(number, len(self._mix.groups[group]))
        try:
            return self._load_sample(group, epoch, position)
        except (UserError, OSError) as error:
            self.bad_file_log.fail(error)
            raise

    def _draw_shuffle(self, group: int, epoch: int) -> Shuffle:
        stream = (_PERMUTATION, _LABELLED_PERMUTATION)[group]
        return Shuffle(len(self._mix.groups[group]), self._rng(stream, epoch))

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *stream])

    def _load_sample(
        self, group: int, epoch: int, position: int
    ) -> tuple[np.ndarray, np.int32]:
        videos, order = self._mix.groups[group], self._shuffle(group, epoch)
        count = len(videos)
        index = int(videos[order[position]])
        draws = 1 + (_RESAMPLES if self.bad_files == "resample" else 0)
        clip = self._try_video(index, epoch, draws)
        if clip is None:
            # From a random place on, all other videos of the group in turn.
            place = int(self._rng(_SUBSTITUTE, epoch, index).integers(count))
            for offset in range(count):
                index = int(videos[order[(place + offset) % count]])
                clip = self._try_video(index, epoch, draws)
                if clip is not None:
                    break
            else:
                kind = ("unlabelled ", "labelled ")[group] if self._mix.mixed else ""
                raise UserError(
                    f"None of the {count} {kind}videos under {self.manifest.root} "
                    "gives a clip. `dynamonet scan DATA` says why."
                )
        return clip, self.manifest.labels[index]

    def _try_video(self, index: int, epoch: int, draws: int) -> np.ndarray | None:
        unreadable = None
        for draw in range(draws):
            try:
                return self._load_clip(index, self._rng(_CLIP, epoch, index, draw))
            except VideoError as error:
                self.bad_file_log.record(error)
                if isinstance(error, VideoTooShortError):
                    break
                if self.bad_files == "raise":
                    raise
                unreadable = error
        if unreadable is not None:  # anywhere that was tried
            self._bad_videos.add(index, unreadable)
        self._bad_videos.check()
        return None

    def _load_clip(self, index: int, rng: np.random.Generator) -> np.ndarray:
        transform = draw_transform(rng, self.augmentation, self.spec.size)
        with open_video_reader(self.manifest.path(index)) as video:
            start = random_start(video, self.spec, rng)
            frames = video.read_frames(
                clip_times(video, self.spec, start),
                short_side=min(transform.short_side, *video.coded_size),
            )
        return apply_transform(frames, transform)


class EvaluationViews:
    """All views of video i, by calling it with i: evenly spread clips x crops.

    Args:
        manifest: The videos.
        spec: Shape and pace of the clips.
        num_clips: Clips spread over each video.
        num_crops: Square crops spread over the long side of each clip.
        bad_files: `"raise"`, or `"skip"`: the video is left out and logged.
        max_bad_share: Stop when more than this share of the files (and more than one)
            is bad.
        bad_file_log: Where bad files are counted.

    Raises:
        ValueError: An argument is out of range.
        UserError: The manifest is empty.

    Example:

    ```python
    views = EvaluationViews(manifest, ClipSpec(16, 64), num_clips=10, num_crops=3)
    views(0).shape  # (30, 17, 64, 64, 3), clip by clip
    ```
    """

    def __init__(
        self,
        manifest: Manifest,
        spec: ClipSpec,
        *,
        num_clips: int = 1,
        num_crops: int = 1,
        bad_files: str = "skip",
        max_bad_share: float = 0.1,
        bad_file_log: BadFileLog | None = None,
    ):
        _check_arguments(manifest, bad_files, max_bad_share)
        for name, value in (("num_clips", num_clips), ("num_crops", num_crops)):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {value}.")
        if bad_files == "resample":
            raise ValueError(
                "`bad_files` must be 'skip' or 'raise' in evaluation, whose clips are "
                "fixed. Received: bad_files='resample'."
            )
        self.manifest = manifest
        self.spec = spec
        self.num_clips = num_clips
        self.num_crops = num_crops
        self.bad_files = bad_files
        self.max_bad_share = max_bad_share
        self.bad_file_log = bad_file_log if bad_file_log is not None else BadFileLog()
        self._bad_videos = BadShare(len(manifest), max_bad_share)

    def __call__(self, index: int) -> np.ndarray:
        """Returns the views of one video, none if it is bad.

        Returns:
            uint8 RGB, shape `(clips * crops, frames, height, width, 3)`.

        Raises:
            UserError: A bad file under `"raise"`, or too many bad files.
        """
        try:
            return self._views_if_good(index)
        except (UserError, OSError) as error:
            self.bad_file_log.fail(error)
            raise

    def _views_if_good(self, index: int) -> np.ndarray:
        try:
            return self._load_views(index)
        except VideoError as error:
            self.bad_file_log.record(error)
            if not isinstance(error, VideoTooShortError):
                if self.bad_files == "raise":
                    raise
                self._bad_videos.add(index, error)
        self._bad_videos.check()
        size = self.spec.size
        return np.empty((0, self.spec.frames_per_clip, size, size, 3), np.uint8)

    def _load_views(self, index: int) -> np.ndarray:
        spec = self.spec
        with open_video_reader(self.manifest.path(index)) as video:
            times = [
                clip_times(video, spec, start)
                for start in uniform_starts(video, spec, self.num_clips)
            ]
            frames = video.read_frames(np.concatenate(times), short_side=spec.size)
        crops = uniform_crops(frames, spec.size, self.num_crops)
        # (crops, clips * frames, ...) -> (clips * crops, frames, ...)
        crops = crops.reshape(self.num_crops, self.num_clips, -1, *crops.shape[2:])
        return np.concatenate(crops.swapaxes(0, 1))


def _check_arguments(manifest: Manifest, bad_files: str, max_bad_share: float) -> None:
    if not len(manifest):
        raise UserError(f"{manifest.root}: the list of videos is empty.")
    if bad_files not in BAD_FILE_POLICIES:
        raise ValueError(
            f"`bad_files` must be one of {BAD_FILE_POLICIES}. "
            f"Received: bad_files={bad_files!r}."
        )
    if not 0 <= max_bad_share <= 1:
        raise ValueError(
            f"`max_bad_share` must lie in [0, 1]. Received: {max_bad_share}."
        )
