import hashlib
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from keras_dynamonet.data.manifest import Manifest, list_splits, load_manifest
from keras_dynamonet.errors import UserError


def make_files(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not decoded here")
    return root


def labels_by_name(manifest: Manifest) -> dict[str, str | None]:
    return {
        Path(path).name: manifest.class_names[label] if label >= 0 else None
        for path, label in zip(manifest.paths, manifest.labels, strict=True)
    }


# Class folders.


def test_class_folders_are_recognised_and_said_aloud(tmp_path, caplog):
    make_files(tmp_path, "walk/a.mp4", "walk/b.AVI", "run/deep/c.mkv", "run/Thumbs.db")
    with caplog.at_level(logging.INFO):
        manifest = load_manifest(tmp_path)
    assert manifest.layout == "class_folders"
    assert manifest.class_names == ("run", "walk")
    assert labels_by_name(manifest) == {
        "a.mp4": "walk",
        "b.AVI": "walk",
        "c.mkv": "run",
    }
    assert "read as a folder of class folders: 2 classes, 3 videos" in caplog.text
    assert all(os.path.exists(manifest.path(i)) for i in range(len(manifest)))


def test_awkward_names_survive(tmp_path):
    names = ["my walk 'x'/a \"b\" ü.mp4", "läuft/50% #1: 走る.mp4"]
    manifest = load_manifest(make_files(tmp_path, *names))
    assert set(manifest.paths) == set(names)
    assert len(manifest.fingerprint()) == 64


def test_empty_class_folder_and_loose_videos_are_named_in_the_log(tmp_path, caplog):
    make_files(tmp_path, "walk/a.mp4", "loose.mp4", ".hidden/b.mp4", "walk/._a.mp4")
    (tmp_path / "run").mkdir()
    manifest = load_manifest(tmp_path)
    assert manifest.class_names == ("walk",) and len(manifest) == 1
    assert "run/ holds no videos" in caplog.text
    assert "1 videos outside of class folders left out" in caplog.text


def test_split_folders_share_their_classes(tmp_path):
    make_files(tmp_path, "train/walk/a.mp4", "train/run/b.mp4", "val/walk/c.mp4")
    assert list_splits(tmp_path) == ("train", "validation")
    validation = load_manifest(tmp_path, split="validation")
    assert labels_by_name(validation) == {"c.mp4": "walk"}
    assert validation.class_names == ("run", "walk")
    assert len(load_manifest(tmp_path)) == 3
    with pytest.raises(UserError, match="no split 'test'. Its splits are train, valid"):
        load_manifest(tmp_path, split="test")


def test_classes_called_train_and_test_are_classes(tmp_path):
    make_files(tmp_path, "train/steam.mp4", "test/exam.mp4")
    manifest = load_manifest(tmp_path)
    assert manifest.class_names == ("test", "train")
    with pytest.raises(UserError, match="It has no splits at all"):
        load_manifest(tmp_path, split="train")


def test_class_names_of_a_model_fix_the_labels(tmp_path, caplog):
    make_files(tmp_path, "walk/a.mp4")
    manifest = load_manifest(tmp_path, class_names=["walk", "run"])
    assert manifest.labels.tolist() == [0] and manifest.class_names == ("walk", "run")
    assert "no videos of the classes run" in caplog.text
    with pytest.raises(UserError, match="unknown class 'walk'. Known classes: jump"):
        load_manifest(tmp_path, class_names=["jump"])
    with pytest.raises(UserError, match="'walk' is named twice"):
        load_manifest(tmp_path, class_names=["walk", "walk"])


def test_folders_with_numbers_for_names_are_names(tmp_path):
    manifest = load_manifest(make_files(tmp_path, "1/a.mp4", "2/b.mp4"))
    assert manifest.class_names == ("1", "2")


def test_links_in_a_circle_end(tmp_path):
    make_files(tmp_path, "walk/a.mp4")
    (tmp_path / "walk" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(load_manifest(tmp_path)) == 1


# Without labels.


def test_unlabelled_folder_and_single_file(tmp_path):
    make_files(tmp_path, "a.mp4", "b.mp4")
    manifest = load_manifest(tmp_path, labelled=False)
    assert manifest.layout == "unlabelled" and manifest.labels.tolist() == [-1, -1]
    single = load_manifest(tmp_path / "a.mp4", labelled=False)
    assert single.paths == ("a.mp4",) and single.root == tmp_path
    with pytest.raises(UserError, match="have no labels"):
        load_manifest(tmp_path)


def test_unlabelled_takes_all_videos_below_class_folders(tmp_path):
    make_files(tmp_path, "walk/a.mp4", "loose.mp4")
    manifest = load_manifest(tmp_path, labelled=False)
    assert sorted(manifest.paths) == ["loose.mp4", "walk/a.mp4"]
    assert manifest.class_names == ()


# Lists.


@pytest.mark.parametrize(
    "text",
    [
        "a b.mp4,walk\nc.mp4,run\n",
        "path,label\na b.mp4,walk\nc.mp4,run\n",
        "label;video\nwalk;a b.mp4\nrun;c.mp4\n",
        '\ufeffid,file,class\n1,"a b.mp4",walk\n2,c.mp4,run\n',
        "a b.mp4\twalk\n\nc.mp4\trun",
    ],
)
def test_csv_with_and_without_header(tmp_path, text):
    make_files(tmp_path, "a b.mp4", "c.mp4")
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    manifest = load_manifest(tmp_path / "list.csv")
    assert manifest.layout == "csv"
    assert labels_by_name(manifest) == {"a b.mp4": "walk", "c.mp4": "run"}


def test_the_first_cell_of_a_table_with_tabs_may_be_empty(tmp_path):
    make_files(tmp_path, "a.mp4", "b.mp4")
    data = tmp_path / "list.csv"
    data.write_text("label\tpath\tsplit\nwalk\ta.mp4\ttrain\n\tb.mp4\ttrain\n")
    manifest = load_manifest(data, split="train")
    assert labels_by_name(manifest)["a.mp4"] == "walk"
    assert manifest.labels.tolist() == [0, -1]


def test_csv_with_numbers_splits_and_empty_labels(tmp_path):
    make_files(tmp_path, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    data = tmp_path / "list.csv"
    data.write_text("a.mp4,2,train\nb.mp4,0,val\nc.mp4,,train\nd.mp4,-1,train\n")
    train = load_manifest(data, split="train")
    assert train.labels.tolist() == [2, -1, -1] and train.num_labelled == 1
    assert train.class_names == ("0", "1", "2")
    named = load_manifest(data, split="valid", class_names=["x", "y", "z"])
    assert labels_by_name(named) == {"b.mp4": "x"}
    with pytest.raises(UserError, match="line 1: a.mp4 has the label 2, out of range"):
        load_manifest(data, class_names=["x", "y"])


def test_csv_paths_start_from_the_video_root(tmp_path):
    make_files(tmp_path / "videos", "a.mp4")
    data = tmp_path / "list.csv"
    data.write_text("a.mp4,walk\n")
    manifest = load_manifest(data, video_root=tmp_path / "videos")
    assert os.path.exists(manifest.path(0))
    with pytest.raises(UserError, match="line 1: a.mp4 does not exist .* .1 of 1"):
        load_manifest(data)
    with pytest.raises(UserError, match="`video_root` is not a folder"):
        load_manifest(data, video_root=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.mp4,x\n./a.mp4,x\n", "a.mp4 is listed 2 times"),
        (",x\n", "line 1: has no path"),
        ("label,split\nx,train\n", "no column of paths in the header"),
        ("a.mp4,-7\n", "label -7, out of range"),
        ("a.mp4\n", "have no labels"),
        ("", "no videos found"),
    ],
)
def test_csv_mistakes(tmp_path, text, message):
    make_files(tmp_path, "a.mp4")
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        load_manifest(tmp_path / "list.csv")


def test_text_list_with_spaces_in_paths(tmp_path):
    make_files(tmp_path, "a b.mp4", "c.mp4", "d e.mp4")
    data = tmp_path / "list.txt"
    data.write_text("a b.mp4 1\nc.mp4,0\nd e.mp4\n")
    manifest = load_manifest(data)
    assert manifest.layout == "text"
    assert manifest.paths == ("a b.mp4", "c.mp4", "d e.mp4")
    assert manifest.labels.tolist() == [1, 0, -1]


def test_binary_file_is_no_list(tmp_path):
    (tmp_path / "list.txt").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="is not a UTF-8 text file"):
        load_manifest(tmp_path / "list.txt")


# Layouts of the public data sets.


@pytest.fixture
def ucf101(tmp_path):
    make_files(tmp_path, *(f"UCF-101/{c}/v_{c}_{k}.avi" for c in "BA" for k in "12"))
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 B\n2 A\n")
    (lists / "trainlist01.txt").write_text("B/v_B_1.avi 1\r\nA/v_A_1.avi 2\r\n")
    (lists / "testlist01.txt").write_text("B/v_B_2.avi\nA/v_A_2.avi\n")
    (lists / "trainlist02.txt").write_text("B/v_B_2.avi 1\nA/v_A_1.avi 2\n")
    return tmp_path


def test_ucf101(ucf101):
    for data in (ucf101, ucf101 / "ucfTrainTestlist"):
        assert list_splits(data) == ("train", "test", "train2")
        train = load_manifest(data, split="train")
        assert train.layout == "ucf101" and train.class_names == ("B", "A")
        assert labels_by_name(train) == {"v_B_1.avi": "B", "v_A_1.avi": "A"}
        assert len(load_manifest(data)) == 4
    one_list = load_manifest(ucf101 / "ucfTrainTestlist" / "testlist01.txt")
    assert labels_by_name(one_list) == {"v_B_2.avi": "B", "v_A_2.avi": "A"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("classInd.txt", "one B\n", "classInd.txt, line 1: expected NUMBER CLASS"),
        ("trainlist01.txt", "v_B_1.avi 1\n", "line 1: expected CLASS/VIDEO"),
        ("trainlist01.txt", "C/v.avi 1\n", "C/v.avi is in none of"),
        ("trainlist01.txt", "B/v_B_1.avi 1\nC/v.avi 2\n", "C/v.avi .*does not exist"),
    ],
)
def test_ucf101_mistakes(ucf101, name, text, message):
    (ucf101 / "ucfTrainTestlist" / "testlist01.txt").unlink()
    (ucf101 / "ucfTrainTestlist" / "trainlist02.txt").unlink()
    (ucf101 / "ucfTrainTestlist" / name).write_text(text)
    with pytest.raises(UserError, match=message):
        load_manifest(ucf101, class_names=["A", "B", "C"])


def test_hmdb51(tmp_path):
    make_files(tmp_path, *(f"hmdb51_org/{c}/{c} {k}.avi" for c in "ab" for k in "012"))
    lists = tmp_path / "testTrainMulti_7030_splits"
    lists.mkdir()
    for name in "ab":
        text = f"{name} 0.avi 0 \n{name} 1.avi 1 \n{name} 2.avi 2 \n"
        (lists / f"{name}_test_split1.txt").write_text(text)
    assert list_splits(tmp_path) == ("train", "test")
    train = load_manifest(lists, split="train")
    assert train.layout == "hmdb51"
    assert labels_by_name(train) == {"a 1.avi": "a", "b 1.avi": "b"}
    (lists / "a_test_split1.txt").write_text("a 1.avi yes\n")
    with pytest.raises(UserError, match=r"line 1: expected VIDEO 0\|1\|2"):
        load_manifest(tmp_path)


def test_kinetics_leaves_out_missing_videos_and_says_so(tmp_path, caplog):
    make_files(tmp_path, "videos/juggling/abc_000010_000020.mp4", "videos/xyz.mp4")
    data = tmp_path / "train.csv"
    data.write_text(
        "label,youtube_id,time_start,time_end,split\n"
        "juggling balls,abc,10,20,train\nyoga,xyz,5,15,train\nyoga,gone,0,10,train\n"
    )
    manifest = load_manifest(data, split="train")
    assert manifest.layout == "kinetics"
    assert manifest.class_names == ("juggling balls", "yoga")
    assert len(manifest) == 2 and "1 listed videos are not there" in caplog.text
    with pytest.raises(UserError, match="none of its 3 videos is below"):
        (tmp_path / "empty").mkdir()
        load_manifest(data, video_root=tmp_path / "empty")
    data.write_text("label,youtube_id,time_start,time_end\nyoga,xyz,soon,15\n")
    with pytest.raises(UserError, match="line 2: expected youtube_id, time_start"):
        load_manifest(data)


# Forcing a layout, and nothing there.


def test_layout_can_be_forced(tmp_path):
    make_files(tmp_path, "walk/a.mp4")
    manifest = load_manifest(tmp_path, layout="unlabelled", labelled=False)
    assert manifest.layout == "unlabelled"
    with pytest.raises(UserError, match="the layout 'csv' needs a file"):
        load_manifest(tmp_path, layout="csv")
    with pytest.raises(UserError, match="the layout 'hmdb51' needs a folder"):
        load_manifest(tmp_path / "walk" / "a.mp4", layout="hmdb51")
    with pytest.raises(UserError, match="Unknown layout 'tree'"):
        load_manifest(tmp_path, layout="tree")
    with pytest.raises(UserError, match="no trainlist01.txt or testlist01.txt"):
        load_manifest(tmp_path, layout="ucf101")
    with pytest.raises(UserError, match="no CLASS_test_split1.txt"):
        load_manifest(tmp_path, layout="hmdb51")


@pytest.mark.parametrize("name", ["benchmark.json", "notes.md"])
def test_text_that_is_no_list(tmp_path, name):
    (tmp_path / name).write_text('[\n"a.mp4"\n]\n')
    with pytest.raises(UserError, match=f"{name}: is no list of videos"):
        load_manifest(tmp_path / name, labelled=False)


def test_nothing_there(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        load_manifest(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no videos found in it"):
        load_manifest(tmp_path)


# The manifest itself.


def test_subset_keeps_classes_and_order(tmp_path):
    manifest = Manifest(tmp_path, ("a", "b", "c"), [0, 1, 0], ("x", "y"))
    part = manifest.subset([2, 1])
    assert part.paths == ("c", "b") and part.labels.tolist() == [0, 1]
    assert part.class_names == ("x", "y")


def test_subset_by_mask_or_from_the_end(tmp_path):
    manifest = Manifest(
        tmp_path, ("a", "b", "c"), [0, 1, 0], ("x", "y"), sizes=np.array([5, 6, 7])
    )
    for indices in (manifest.labels == 0, [True, False, True], [-3, -1]):
        part = manifest.subset(indices)
        assert list(part.paths) == ["a", "c"] and part.labels.tolist() == [0, 0]
        assert part.sizes.tolist() == [5, 7]
    for indices in ([True, False], [3], [-4], [0.0]):
        with pytest.raises(ValueError, match="Received: "):
            manifest.subset(indices)


def test_concat_joins_labelled_and_unlabelled(tmp_path):
    make_files(tmp_path, "one/a.mp4", "two/b.mp4")
    one = Manifest(tmp_path / "one", ("a.mp4",), [0], ("x",), "csv")
    two = Manifest(tmp_path / "two", ("b.mp4",), [-1])
    both = one.concat(two)
    assert both.labels.tolist() == [0, -1] and both.class_names == ("x",)
    assert all(os.path.exists(both.path(i)) for i in range(2))
    assert two.concat(one).class_names == ("x",)
    with pytest.raises(UserError, match="have different classes"):
        one.concat(Manifest(tmp_path, ("c",), [0], ("z",)))


@pytest.mark.parametrize(
    "paths",
    [
        ("a.mp4", "läuft/b\udcff.mp4", "/abs/c.mp4", "a/.hidden"),
        ("./a.mp4", "b//c.mp4"),
        ("a/./b.mp4",),
        ("folder/", "name."),
        (".",),
        ("with\ttab", "with\nline"),
    ],
)
def test_fingerprint_is_that_of_lines_of_posix_paths(paths):
    sizes = np.array([0, 7, 12345678901, 30])[: len(paths)]
    labels = np.array([-1, 0, 11, 1])[: len(paths)]
    names = tuple(map(str, range(12)))
    posix = [Path(path).as_posix() for path in paths]
    rows = zip(posix, sizes, labels, strict=True)
    lines = [f"class {name}\n" for name in names]
    lines += [f"{path}\t{size}\t{label}\n" for path, size, label in rows]
    expected = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape"))
    manifest = Manifest(Path("videos"), paths, labels, names, sizes=sizes)
    assert manifest.fingerprint() == expected.hexdigest()


def test_fingerprint_sees_paths_sizes_and_labels_but_not_the_place(tmp_path):
    prints = []
    for place in ("here", "there"):
        root = make_files(tmp_path / place, "a.mp4", "b.mp4")
        prints.append(Manifest(root, ("a.mp4", "b.mp4"), [0, 1], "xy").fingerprint())
    assert prints[0] == prints[1]
    assert Manifest(root, ("a.mp4", "b.mp4"), [1, 0], "xy").fingerprint() != prints[0]
    (root / "a.mp4").write_bytes(b"longer than it was before")
    assert Manifest(root, ("a.mp4", "b.mp4"), [0, 1], "xy").fingerprint() != prints[0]


def test_manifest_checks_its_parts(tmp_path):
    with pytest.raises(ValueError, match="`labels` must hold one label a path"):
        Manifest(tmp_path, ("a",), [0, 1], ("x", "y"))
    with pytest.raises(ValueError, match="`labels` must lie in"):
        Manifest(tmp_path, ("a",), [1], ("x",))
    with pytest.raises(ValueError, match="read-only"):
        Manifest(tmp_path, ("a",), [0], ("x",)).labels[0] = np.int32(0)


def test_commas_in_names_of_files(tmp_path):
    folder = tmp_path / "Smith, John"
    folder.mkdir()
    (folder / "clip.mp4").write_bytes(b"")
    (tmp_path / "list.txt").write_text("Smith, John/clip.mp4 walk\n")
    (tmp_path / "list.csv").write_text("Smith, John/clip.mp4;walk\n")
    for name in ("list.txt", "list.csv"):
        manifest = load_manifest(tmp_path / name)
        assert manifest.class_names == ("walk",)
        assert manifest.path(0).endswith("Smith, John/clip.mp4")


def test_names_that_are_not_utf_8_are_read_back(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    with open(path, "wb"):
        pass
    (tmp_path / "list.csv").write_bytes(b"path,label\ncaf\xe9.mp4,walk\n")
    assert os.fsencode(load_manifest(tmp_path / "list.csv").path(0)) == path
