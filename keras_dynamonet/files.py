"""Files that are either whole or absent."""

import contextlib
import errno
import glob
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path that becomes `path` if the block succeeds.

    Works for a file and for a directory. The temporary name keeps the suffix, since
    writers such as Keras and FFmpeg choose the format by it, and lies in the same
    folder, so that the final rename is atomic. When the block raises, whatever was
    written is removed and `path` is left as it was. A folder takes the place of a
    folder, but a file never does: that folder may hold anything.

    Args:
        path: The final name. Its folder is created when missing.

    Yields:
        The temporary path to write to.

    Raises:
        OSError: The path cannot be written; names `path`, not the temporary name.

    Example:

    ```python
    with atomic_path("runs/demo/summary.json") as temporary:
        temporary.write_text("{}")
    ```
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the number of the process: hosts that share a folder have the same numbers.
    temporary = path.with_name(_partial(path, uuid.uuid4().hex[:8]))
    try:
        yield temporary
        if path.is_dir():
            if not temporary.is_dir():
                raise IsADirectoryError(
                    errno.EISDIR, os.strerror(errno.EISDIR), str(path)
                )
            shutil.rmtree(path)
        os.replace(temporary, path)
    except OSError as error:
        # The temporary name tells nobody anything, and a full disk gives no name.
        nameless = error.filename is None or str(temporary) in str(error.filename)
        if nameless and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    finally:
        _remove(temporary)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that goes away at the end of the block.

    Yields:
        The folder.

    Raises:
        OSError: It cannot be written, e.g. because the disk is full; names the folder
            of temporary files, for Python names none then.

    Example:

    >>> with temporary_folder() as folder:
    ...     (folder / "notes.txt").write_text("done")
    4
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    except OSError as error:
        if error.filename is None and error.errno == errno.ENOSPC:
            place = tempfile.gettempdir()
            raise OSError(error.errno, os.strerror(error.errno), place) from error
        raise


def remove_written(folder: Path, written: Iterable[Path]) -> list[str]:
    """Removes what a program has written into a folder, whole or half.

    Args:
        folder: The folder; nobody else may be writing there now.
        written: Files and folders of the program, there or not.

    Returns:
        The names of what else is there, which belongs to somebody else.
    """
    for path in written:
        _remove(path)
    remove_leftovers(folder)
    return sorted(path.name for path in folder.iterdir())


def remove_leftovers(
    folder: str | os.PathLike, *, of: Path | None = None, hours: float = 0
) -> None:
    """Removes what processes that were killed while writing have left in a folder.

    Args:
        folder: Where `atomic_path` wrote.
        of: What they wrote. Default: anything; nobody may be writing there now.
        hours: How old leftovers must be. Whoever is still writing has a younger one.
    """
    pattern = ".*.partial*"
    if of is not None:
        pattern = glob.escape(_partial(of, "?")).replace("[?]", 8 * "[0-9a-f]")
    latest = time.time() - 3600 * hours
    for leftover in Path(folder).glob(pattern):
        # Whoever was still writing may have finished meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if not hours or leftover.stat().st_mtime < latest:
                _remove(leftover)


def _partial(path: Path, unique: str) -> str:
    return f".{path.stem}.{unique}.partial{path.suffix}"


def _remove(path: Path) -> None:
    """Removes a file or a folder with all it holds, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
