"""Files that are either whole or absent."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path that becomes `path` if the block succeeds.

    Works for a file and for a directory. The temporary name keeps the suffix, since
    writers such as Keras and FFmpeg choose the format by it, and lies in the same
    folder, so that the final rename is atomic. When the block raises, whatever was
    written is removed and `path` is left as it was.

    Args:
        path: The final name. Its folder is created when missing.

    Yields:
        The temporary path to write to.

    Example:

    ```python
    with atomic_path("runs/demo/summary.json") as temporary:
        temporary.write_text("{}")
    ```
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)
