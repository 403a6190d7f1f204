"""Where files are kept that can be made or fetched again."""

import functools
import logging
import os
import stat
import tempfile
from pathlib import Path

from keras_dynamonet.errors import UserError

CACHE_VARIABLE = "KERAS_DYNAMONET_CACHE"
_NAME = "keras-dynamonet"

_logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """`$KERAS_DYNAMONET_CACHE`, or `keras-dynamonet` in the user's cache folder.

    That is `$XDG_CACHE_HOME`, or `~/.cache`. Where it is not there and cannot be made,
    as in containers whose user has no home, a folder among the temporary files takes
    its place, which no other user may write to.

    Raises:
        UserError: No such folder can be made.
    """
    configured = os.environ.get(CACHE_VARIABLE)
    if configured:
        return Path(configured)
    wanted = _folder_of_the_user()
    if wanted is not None and _is_there_or_can_be_made(wanted):
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


def _is_there_or_can_be_made(folder: Path) -> bool:
    # Other than these functions, those of `Path` raise where they may not look.
    if os.path.isdir(folder):
        return True
    existing = next(parent for parent in folder.parents if os.path.exists(parent))
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


@functools.cache
def _temporary_folder(instead_of: Path | None) -> Path:
    user = os.getuid() if hasattr(os, "getuid") else None
    name = _NAME if user is None else f"{_NAME}-{user}"
    try:
        folder = Path(tempfile.gettempdir()) / name
        folder.mkdir(mode=0o700, exist_ok=True)
        # Whoever may write here could exchange a folder for a link between two looks.
        status = os.lstat(folder)
        own = stat.S_ISDIR(status.st_mode)
        if user is not None:
            private = not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
            own = own and status.st_uid == user and private
    except OSError:
        own = False
    if not own:
        raise UserError(
            f"{name}, among the temporary files, cannot keep what is fetched and found "
            f"out. Set {CACHE_VARIABLE} to a folder of yours."
        )
    _logger.warning(
        "%s: is kept in instead of %s, which cannot be written. Set %s to choose "
        "another folder.",
        folder,
        "~/.cache" if instead_of is None else instead_of,
        CACHE_VARIABLE,
    )
    return folder
