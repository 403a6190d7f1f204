"""Paths on this machine and addresses elsewhere: telling them apart, joining them."""

import os
import re
from pathlib import Path

from keras_dynamonet.errors import UserError

_REMOTE = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+://")


def is_remote(path: str | os.PathLike) -> bool:
    """Whether a path is an address such as `s3://bucket/a.mp4`.

    Example:

    >>> is_remote("s3://bucket/a.mp4"), is_remote("C:/a.mp4"), is_remote("a.mp4")
    (True, False, False)
    """
    return _REMOTE.match(os.fspath(path)) is not None


def as_folder(path: str | os.PathLike) -> Path | str:
    """A folder as a path, or its address as a text: a `Path` would lose slashes."""
    return os.fspath(path) if is_remote(path) else Path(path)


def local_folder(path: str | os.PathLike) -> Path:
    """A folder to write to, which lies on this machine.

    Raises:
        UserError: It is an address: files elsewhere are read only.
    """
    # `file:` ones, too: they would become a folder of that name.
    if "://" in os.fspath(path):
        raise UserError(
            f"{os.fspath(path)}: is an address; results are written to folders of "
            "this machine. Name one here, and copy it when it is done."
        )
    return Path(path)


def join_path(root: str | os.PathLike, path: str) -> str:
    """`path` as it starts from `root`; absolute paths and addresses stay as they are.

    Example:

    >>> join_path("s3://bucket/videos", "walk/a.mp4")
    's3://bucket/videos/walk/a.mp4'
    """
    if is_remote(path):
        return path
    if is_remote(root):
        return f"{os.fspath(root).rstrip('/')}/{path.lstrip('/')}"
    return os.path.join(root, path)


def absolute_path(path: str | os.PathLike) -> str:
    """The path from the root of this machine; addresses stay as they are.

    Example:

    >>> absolute_path("s3://bucket/a.mp4"), absolute_path("/videos/../a.mp4")
    ('s3://bucket/a.mp4', '/a.mp4')
    """
    return os.fspath(path) if is_remote(path) else os.path.abspath(path)


def as_utf8(text: str) -> str:
    r"""A text that UTF-8 has bytes for; different ones stay different.

    Names of files need not be UTF-8: Python then has what no encoder takes.

    Example:

    >>> as_utf8("a.mp4"), as_utf8("caf\udce9.mp4")
    ('a.mp4', 'caf\\xe9.mp4')
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
