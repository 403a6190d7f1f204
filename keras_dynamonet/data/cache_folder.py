"""Where files are kept that can be made or fetched again."""

import functools
import logging
import os
import tempfile
from pathlib import Path

from keras_dynamonet.errors import UserError

CACHE_VARIABLE = "KERAS_DYNAMONET_CACHE"
_NAME = "keras-dynamonet"

_logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """`$KERAS_DYNAMONET_CACHE`, or `keras-dynamonet` in the user's cache folder.

    That is `$XDG_CACHE_HOME`, or `~/.cache`. Where it cannot be written, as in
    containers whose user has no home, a folder among the temporary files takes its
    place, which no other user may write to.

    Raises:
        UserError: No such folder can be made.
    """
    configured = os.environ.get(CACHE_VARIABLE)
    if configured:
        return Path(configured)
    wanted = _folder_of_the_user()
    if wanted is not None and _can_be_written(wanted):
        return wanted
    return _temporary_folder(wanted)


def _folder_of_the_user() -> Path | None:
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # others are to be ignored, says the specification
        return Path(base) / _NAME
    try:
        return Path.home() / ".cache" / _NAME
    except RuntimeError:
        return None  # a user whom the system does not know


def _can_be_written(folder: Path) -> bool:
    """Whether files can be made there, or what is there was put there to be read."""
    if folder.is_dir():
        return True
    existing = next(parent for parent in folder.parents if parent.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


@functools.cache
def _temporary_folder(instead_of: Path | None) -> Path:
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"{_NAME}-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        own = not folder.is_symlink() and folder.stat().st_uid in (user, 0)
    except OSError:
        own = False
    if not own:
        raise UserError(
            f"{folder}: cannot keep what is fetched and found out. Set "
            f"{CACHE_VARIABLE} to a folder of yours."
        )
    _logger.warning(
        "%s: is kept in instead of %s, which cannot be written. Set %s to choose "
        "another folder.",
        folder,
        "~/.cache" if instead_of is None else instead_of,
        CACHE_VARIABLE,
    )
    return folder
