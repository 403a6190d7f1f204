"""Counting the videos that could not be read, so that none is lost in silence."""

import logging
import threading
from collections.abc import Sequence

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
        self._failure: UserError | None = None

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

    def check_share(self, paths: Sequence[str], max_bad_share: float) -> None:
        """Raises if more than one, and too large a share, of `paths` is bad.

        Args:
            paths: All files of the data set.
            max_bad_share: Largest tolerable share, in [0, 1].

        Raises:
            UserError: Says how many are bad, names one, and points to `dynamonet scan`.
        """
        with self._lock:
            bad = len(self._reasons)
            if bad <= 1 or bad <= max_bad_share * len(paths):
                return
            bad_here = sorted(self._reasons.keys() & set(paths))
        if len(bad_here) > 1 and len(bad_here) > max_bad_share * len(paths):
            raise UserError(
                f"{len(bad_here)} of {len(paths)} videos cannot be read, more than the "
                f"tolerated share of {max_bad_share:.0%} (first: {bad_here[0]}: "
                f"{self._reasons[bad_here[0]]}). List them with `dynamonet scan DATA` "
                "and mend or remove them."
            )

    def fail(self, error: UserError) -> None:
        """Keeps the first error that ended the pipeline, for `raise_if_failed`."""
        with self._lock:
            self._failure = self._failure or error

    def raise_if_failed(self) -> None:
        """Raises the original error if the pipeline was ended by one.

        Raises:
            UserError: What ended the pipeline, in one line.
        """
        if self._failure is not None:
            raise self._failure

    def summary(self) -> str:
        """One line for each bad file, or an empty text if there is none."""
        reasons = self.reasons
        if not reasons:
            return ""
        lines = [f"{path}: {reason}" for path, reason in reasons.items()]
        return "\n".join([f"{len(lines)} videos could not be read:", *lines])

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
