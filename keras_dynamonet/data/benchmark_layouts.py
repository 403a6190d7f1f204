"""The layouts in which UCF101, HMDB51 and Kinetics are distributed."""

import re
from pathlib import Path

from keras_dynamonet.data.entry_table import Entry
from keras_dynamonet.data.list_layouts import csv_header, read_csv_rows
from keras_dynamonet.data.listing import (
    Listing,
    canonical_split,
    find_video_root,
    read_lines,
    sub_folders,
    walk_videos,
)
from keras_dynamonet.errors import UserError

_UCF_LIST = re.compile(r"(train|test)list(\d\d)\.txt", re.IGNORECASE)
_HMDB_LIST = re.compile(r"(.+)_test_split(\d)\.txt", re.IGNORECASE)
_HMDB_SPLITS = {"1": "train", "2": "test"}  # 0: not used in this split
_KINETICS_COLUMNS = {"youtube_id", "time_start", "time_end"}


def looks_like_ucf101(data: Path) -> bool:
    """A `trainlist01.txt` or the like, or a folder that holds one."""
    return _split_file_folder(data, _UCF_LIST) is not None


def read_ucf101(data: Path, video_root: Path | None = None) -> Listing:
    """Reads `trainlistNN.txt` and `testlistNN.txt` with `classInd.txt`.

    Splits are `train` and `test` of the first list; those of the others are called
    `train2`, `test2` and so on.

    Args:
        data: One list, the folder of the lists, or the folder above.
        video_root: Folder of the class folders; None looks around the lists.

    Raises:
        UserError: No list, a malformed line, or no videos where they are expected.
    """
    folder = _split_file_folder(data, _UCF_LIST)
    if folder is None:
        raise UserError(f"{data}: no trainlist01.txt or testlist01.txt found there.")
    lists = [data] if data.is_file() else sorted(folder.iterdir())
    class_file = folder / "classInd.txt"
    class_names = _read_class_index(class_file) if class_file.exists() else None
    entries = []
    for path in lists:
        match = _UCF_LIST.fullmatch(path.name)
        if match is None:
            continue
        split = _numbered_split(match[1], int(match[2]), data.is_file())
        for number, line in read_lines(path):
            # The class folder says the label in both lists; the number that follows
            # in training lists is that of classInd.txt.
            video = re.sub(r"\s+\d+$", "", line).replace("\\", "/")
            if "/" not in video:
                raise UserError(
                    f"{path}, line {number}: expected CLASS/VIDEO, found {line!r}."
                )
            label = video.split("/")[-2]
            entries.append(Entry(video, label, split, str(path), number))
    root = video_root or _look_around(data, folder, entries, "UCF-101")
    return Listing("ucf101", root, entries, class_names, overlapping_splits=True)


def looks_like_hmdb51(data: Path) -> bool:
    """A folder of `CLASS_test_splitN.txt` files, or one that holds such a folder."""
    return data.is_dir() and _split_file_folder(data, _HMDB_LIST) is not None


def read_hmdb51(data: Path, video_root: Path | None = None) -> Listing:
    """Reads `CLASS_test_splitN.txt`: lines of a video and 1 (train), 2 (test) or 0.

    Splits are named as in `read_ucf101`.

    Args:
        data: The folder of the split files, or the folder above.
        video_root: Folder of the class folders; None looks around the split files.

    Raises:
        UserError: No split file, a malformed line, or no videos where they are
            expected.
    """
    folder = _split_file_folder(data, _HMDB_LIST)
    if folder is None:
        raise UserError(f"{data}: no CLASS_test_split1.txt files found there.")
    entries, names = [], set()
    for path in sorted(folder.iterdir()):
        match = _HMDB_LIST.fullmatch(path.name)
        if match is None:
            continue
        names.add(match[1])
        for number, line in read_lines(path):
            source = f"{path}, line {number}"
            video, _, use = line.rpartition(" ")
            if use not in ("0", "1", "2") or not video:
                raise UserError(f"{source}: expected VIDEO 0|1|2, found {line!r}.")
            if use == "0":
                continue
            split = _numbered_split(_HMDB_SPLITS[use], int(match[2]), False)
            entries.append(
                Entry(f"{match[1]}/{video.strip()}", match[1], split, str(path), number)
            )
    root = video_root or _look_around(data, folder, entries, "hmdb51_org")
    class_names = tuple(sorted(names))
    return Listing("hmdb51", root, entries, class_names, overlapping_splits=True)


def looks_like_kinetics(data: Path) -> bool:
    """A CSV file with the columns `youtube_id`, `time_start` and `time_end`."""
    return (
        data.is_file()
        and data.suffix.lower() == ".csv"
        and set(csv_header(data)) >= _KINETICS_COLUMNS
    )


def read_kinetics(data: Path, video_root: Path | None = None) -> Listing:
    """Reads `label,youtube_id,time_start,time_end,split`.

    Videos are found anywhere below the root by the usual names, `ID_000010_000020.mp4`
    or `ID.mp4`, cut to their ten seconds already. Downloads of Kinetics are never
    complete: missing ones are left out, and the log says how many.

    Args:
        data: The CSV file.
        video_root: Folder of the videos; None is that of the file.

    Raises:
        UserError: A column or a number is missing, or none of the videos is there.
    """
    root = video_root or data.parent
    files = {Path(path).stem: path for path in walk_videos(root)}
    entries, missing = [], 0
    for number, row in read_csv_rows(data):
        source = f"{data}, line {number}"
        try:
            start, end = (int(float(row[key])) for key in ("time_start", "time_end"))
            name = row["youtube_id"]
        except (KeyError, ValueError):
            raise UserError(
                f"{source}: expected youtube_id, time_start and time_end in seconds."
            ) from None
        path = files.get(f"{name}_{start:06d}_{end:06d}") or files.get(name)
        if path is None:
            missing += 1
            continue
        split = row.get("split")
        entries.append(
            Entry(
                path,
                row.get("label") or None,
                canonical_split(split) if split else None,
                str(data),
                number,
            )
        )
    if missing and not entries:
        raise UserError(
            f"{data}: none of its {missing} videos is below {root}. Give the folder of "
            "the videos as `video_root`."
        )
    notes = [f"{missing} listed videos are not there and left out"] if missing else []
    return Listing("kinetics", root, entries, notes=notes)


def _split_file_folder(data: Path, pattern: re.Pattern) -> Path | None:
    """The folder of the split files: that of a file, a folder, or one inside it."""
    if data.is_file():
        return data.parent if pattern.fullmatch(data.name) else None
    for folder in [data, *sub_folders(data)]:
        if any(pattern.fullmatch(path.name) for path in folder.iterdir()):
            return folder
    return None


def _look_around(
    data: Path, folder: Path, entries: list[Entry], usual_name: str
) -> Path:
    """Finds the folder of the class folders near the split files."""
    if not entries:
        raise UserError(f"{data}: the split files list no videos.")
    near = [folder, folder.parent, folder.parent / usual_name, folder / usual_name]
    near += [path for path in sub_folders(folder.parent) if path not in near]
    return find_video_root(near, entries[0].path, data)


def _numbered_split(name: str, number: int, only_list: bool) -> str:
    name = canonical_split(name)
    return name if only_list or number == 1 else f"{name}{number}"


def _read_class_index(path: Path) -> tuple[str, ...]:
    names = {}
    for number, line in read_lines(path):
        words = line.split(maxsplit=1)
        if len(words) != 2 or not words[0].isdigit():
            raise UserError(
                f"{path}, line {number}: expected NUMBER CLASS, found {line!r}."
            )
        names[int(words[0])] = words[1].strip()
    return tuple(name for _, name in sorted(names.items()))
