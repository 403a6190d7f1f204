"""Counting the videos that could not be read, so that none is lost in silence."""

import logging
import threading

from keras_dynamonet.data.video_file import VideoError, VideoTooShortError
from keras_dynamonet.errors import UserError

_logger = logging.getLogger(__name__)

BAD_FILE_POLICIES = ("raise", "skip", "resample")


class BadFileLog:
    """Remembers which videos failed, why, and how often. Safe to share by threads.

    The first failure of a file is logged as a warning, later ones are only counted.
    Videos left out because they are shorter than a clip are kept apart: the user asked
    for that, so they never count as bad.

    A pipeline runs inside `tf.data`, which turns every exception into one of its own
    with a stack trace for a text. The original is kept here: call `raise_if_failed`
    when a loop over the data ends in an error.

    Example:

    >>> log = BadFileLog()
    >>> log.record(VideoError("a.mp4", "the file is empty"))
    >>> log.reasons
    {'a.mp4': 'the file is empty'}
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}
        self._too_short: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._failure: UserError | OSError | None = None

    def __len__(self) -> int:
        """Number of bad files."""
        return len(self._reasons)

    @property
    def reasons(self) -> dict[str, str]:
        """Why each bad file failed first, by path, sorted by path."""
        with self._lock:
            return dict(sorted(self._reasons.items()))

    @property
    def too_short(self) -> dict[str, str]:
        """The videos left out for being shorter than a clip, with their lengths."""
        with self._lock:
            return dict(sorted(self._too_short.items()))

    def record(self, error: VideoError) -> None:
        """Counts one failed read."""
        short = isinstance(error, VideoTooShortError)
        files = self._too_short if short else self._reasons
        with self._lock:
            known = error.path in files
            files.setdefault(error.path, error.reason)
            self._counts[error.path] = self._counts.get(error.path, 0) + 1
        if not known:
            _logger.warning("%s video: %s", "Short" if short else "Bad", error)

    def fail(self, error: UserError | OSError) -> None:
        """Keeps the first error that ended the pipeline, for `raise_if_failed`."""
        with self._lock:
            self._failure = self._failure or error

    def raise_if_failed(self) -> None:
        """Raises the original error if the pipeline was ended by one.

        Raises:
            UserError: What ended the pipeline, in one line.
            OSError: Likewise, e.g. a cache folder that cannot be written.
        """
        if self._failure is not None:
            raise self._failure

    def summary(self, *, most: int = 20) -> str:
        """One line for each bad file, or an empty text if there is none.

        Args:
            most: How many files are named.
        """
        reasons = self.reasons
        if not reasons:
            return ""
        lines = [f"  {path}: {reason}" for path, reason in reasons.items()]
        if len(lines) > most:
            lines[most:] = [f"  and {len(lines) - most} more"]
        number = f"{len(reasons)} videos" if len(reasons) > 1 else "1 video"
        return "\n".join([f"{number} could not be read:", *lines])

    def as_dict(self) -> dict[str, list[dict]]:
        """The log for a JSON file.

        Returns:
            `{"bad": [...], "too_short": [...]}`, lists of `path`, `reason`, `count`.
        """
        return {
            name: [
                {"path": path, "reason": reason, "count": self._counts[path]}
                for path, reason in files.items()
            ]
            for name, files in (("bad", self.reasons), ("too_short", self.too_short))
        }


class BadShare:
    """Stops a data set of which too many videos cannot be read. Safe to share.

    Args:
        count: Number of videos in the data set.
        max_bad_share: Largest tolerable share of bad ones, in [0, 1]. One bad video
            never stops anything.

    Example:

    >>> share = BadShare(2, max_bad_share=0.5)
    >>> share.add(1, VideoError("a.mp4", "the file is empty"))
    >>> share.check()
    """

    def __init__(self, count: int, max_bad_share: float):
        self._count = count
        self._max_bad_share = max_bad_share
        self._first: VideoError | None = None
        self._bad: set[int] = set()

    def add(self, index: int, error: VideoError) -> None:
        """Counts video number `index` as bad, once."""
        self._first = self._first or error
        self._bad.add(index)

    def check(self) -> None:
        """Raises if more than one, and too large a share, of the videos is bad.

        Raises:
            UserError: Says how many are bad, names one, and points to `dynamonet scan`.
        """
        bad = len(self._bad)
        if bad > 1 and bad > self._max_bad_share * self._count:
            raise UserError(
                f"{bad} of {self._count} videos cannot be read, more than the "
                f"tolerated share of {self._max_bad_share:.0%} (first: "
                f"{self._first.path}: {self._first.reason}). List them with "
                "`dynamonet scan DATA` and mend or remove them."
            )
