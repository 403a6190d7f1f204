"""A folder of packed shards as a layout, like any other."""

import dataclasses
import json
import shutil
from pathlib import Path

from keras_dynamonet.data.cache_folder import cache_folder
from keras_dynamonet.data.downloads import local_copy
from keras_dynamonet.data.entry_table import EntryTable
from keras_dynamonet.data.listing import Listing
from keras_dynamonet.data.remote_files import download
from keras_dynamonet.data.video_file import VideoError
from keras_dynamonet.errors import UserError
from keras_dynamonet.files import atomic_path

PACK_FILE = "pack.json"
INDEX_FOLDER = "index"
# Changes when older programs could not read the folder.
FORMAT = 1


def looks_like_packed(data: Path) -> bool:
    """Whether a folder was written by `dynamonet pack`."""
    return data.is_dir() and (data / PACK_FILE).is_file()


def read_packed(data: Path, video_root: Path | None = None) -> Listing:
    """Reads the index of a packed folder; its columns stay files until they are used.

    Args:
        data: The folder.
        video_root: Not used: the videos are where the index is.

    Raises:
        UserError: The folder is not packed, not complete, or damaged.
    """
    pack = read_pack_file(data)
    _refuse_incomplete(pack, data)
    try:
        entries = EntryTable.load(data / INDEX_FOLDER)
    except (OSError, EOFError, ValueError, KeyError):
        raise UserError(
            f"{data / INDEX_FOLDER}: the index is missing or damaged. Pack the videos "
            "again."
        ) from None
    class_names = pack["class_names"]
    return Listing(
        "packed",
        data,
        entries,
        class_names=None if class_names is None else tuple(class_names),
        numeric_labels=pack["numeric_labels"],
        overlapping_splits=pack["overlapping_splits"],
        verified=True,
    )


def fetch_packed(data: str) -> Listing:
    """Reads the index of a packed folder elsewhere, from a copy in the cache folder.

    Args:
        data: Address of the folder.

    Raises:
        UserError: There is no such folder, or as `read_packed` does.
    """
    data = data.rstrip("/")
    try:
        pack_file = Path(local_copy(f"{data}/{PACK_FILE}", fresh=True))
    except VideoError as error:
        raise UserError(
            f"{data}: {error.reason}: there is no {PACK_FILE}. Give the address of a "
            "packed folder, of a list (.csv, .txt) or of a video."
        ) from error
    pack = read_pack_file(pack_file.parent)
    _refuse_incomplete(pack, data)
    # Indices of several packings can stay side by side.
    folder = cache_folder() / "packed" / pack["fingerprint"][:32]
    if not looks_like_packed(folder):
        try:
            _fetch_index(data, pack_file, folder)
        except FileExistsError:
            pass  # another process was faster, with the same content
    return dataclasses.replace(read_packed(folder), root=data)


def _fetch_index(data: str, pack_file: Path, folder: Path) -> None:
    """Copies an index here.

    Raises:
        FileExistsError: It has come here in the meantime; others may be reading it.
    """
    with atomic_path(folder) as temporary:
        (temporary / INDEX_FOLDER).mkdir(parents=True)
        for name in EntryTable.FILES:
            path = f"{INDEX_FOLDER}/{name}"
            download(f"{data}/{path}", temporary / path)
        shutil.copy(pack_file, temporary / PACK_FILE)
        if looks_like_packed(folder):
            raise FileExistsError(folder)


def read_pack_file(folder: Path) -> dict:
    """What `pack.json` says.

    Raises:
        UserError: It is missing, damaged, or from a newer version.
    """
    path = folder / PACK_FILE
    try:
        pack = json.loads(path.read_text(encoding="utf-8"))
        version = pack["format"]
    except FileNotFoundError:
        raise UserError(
            f"{folder}: is no packed folder: there is no {PACK_FILE} in it."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: is damaged. Pack the videos again.") from None
    if version != FORMAT:
        raise UserError(
            f"{path}: has format {version}, this version reads {FORMAT}. Update "
            "keras-dynamonet or pack the videos again."
        )
    return pack


def _refuse_incomplete(pack: dict, data: Path | str) -> None:
    if not pack["complete"]:
        raise UserError(
            f"{data}: was not packed to the end. Give the same `dynamonet pack` "
            "command again: it goes on where it stopped."
        )
