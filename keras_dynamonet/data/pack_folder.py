"""The folder that is packed into: what may be replaced there, and what never."""

import json
import logging
import os
from pathlib import Path

from keras_dynamonet.data.listing import Listing
from keras_dynamonet.data.packed_layout import (
    FORMAT,
    INDEX_FOLDER,
    PACK_FILE,
    read_pack_file,
)
from keras_dynamonet.data.places import is_remote, join_path
from keras_dynamonet.data.shards import PackedAddress
from keras_dynamonet.errors import UserError
from keras_dynamonet.files import atomic_path, remove_written

_logger = logging.getLogger(__name__)

# The shards, the indices and the summaries, as `shard_name` calls them.
_SHARD_FILES = "shard-[0-9]*-of-[0-9]*.*"


def open_pack_folder(
    out: Path, listing: Listing, plan: dict, *, overwrite: bool
) -> dict | None:
    """Looks what an earlier run left in a folder; removes it where that is asked for.

    Args:
        out: The folder.
        listing: What is to be packed, which is never removed.
        plan: What decides the contents of the packing.
        overwrite: Remove another packing. Files that no packing writes stay, and the
            log names them.

    Returns:
        `pack.json` of an earlier run with the same plan; None where there is nothing to
        go on with.

    Raises:
        UserError: The folder holds something else, another packing, or what is to be
            packed.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / PACK_FILE).is_file():
        raise UserError(f"{out}: holds something else. Name a new or an empty folder.")
    _refuse_own_source(out, listing)
    if overwrite:
        if not _is_of_packing(out):
            raise UserError(
                f"{out}: its {PACK_FILE} is not of packed videos. Name a new or an "
                "empty folder."
            )
        _remove_packing(out)
        return None
    earlier = read_pack_file(out)
    if any(earlier.get(key) != value for key, value in plan.items()):
        raise UserError(
            f"{out}: holds videos packed from others or in another way. Name another "
            "folder, or replace it with --overwrite."
        )
    return earlier


def write_pack_file(out: Path, pack: dict) -> None:
    """Writes `pack.json`, whole or not at all."""
    with atomic_path(out / PACK_FILE) as temporary:
        temporary.write_text(json.dumps(pack, indent=2) + "\n", encoding="utf-8")


def _is_of_packing(out: Path) -> bool:
    """Whether its file is of a packing, of any version: others have that name."""
    try:
        pack = json.loads((out / PACK_FILE).read_text(encoding="utf-8"))
    except ValueError:  # damaged
        return any(out.glob(_SHARD_FILES))
    return isinstance(pack, dict) and {"format", "complete"} <= pack.keys()


def _refuse_own_source(out: Path, listing: Listing) -> None:
    folder = out.resolve()
    for place in _places(listing):
        if Path(place).resolve().is_relative_to(folder):
            raise UserError(
                f"{out}: holds what is to be packed ({place}). Name another folder."
            )


def _places(listing: Listing) -> set[str]:
    """Where on this machine a data set lies: of a million videos, a few folders."""
    # A packed folder remembers the lists that it was once made from.
    lists = () if listing.layout == "packed" else listing.entries.file_names
    places = {os.fspath(listing.root), *filter(None, lists)}
    for path in listing.entries.paths:
        path = join_path(listing.root, path)
        packed = PackedAddress.parse(path)
        places.add(packed.shard if packed else os.path.dirname(path))
    return {place for place in places if not is_remote(place)}


def _remove_packing(out: Path) -> None:
    """Removes all that a packing writes but `pack.json`, which replaces itself."""
    # A run that is killed from here on leaves what only --overwrite goes on with.
    write_pack_file(out, {"format": FORMAT, "complete": False})
    kept = remove_written(out, (*out.glob(_SHARD_FILES), out / INDEX_FOLDER))
    kept.remove(PACK_FILE)
    if kept:
        _logger.warning("%s: kept what is no packing's: %s", out, ", ".join(kept))
