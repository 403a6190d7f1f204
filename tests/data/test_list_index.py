import os

import pytest

from keras_dynamonet.data import list_index
from keras_dynamonet.data.manifest import list_splits, load_manifest
from keras_dynamonet.errors import UserError


@pytest.fixture
def long_list(tmp_path, monkeypatch):
    """A list that counts as long, of ten videos, and a cache of its own."""
    monkeypatch.setattr(list_index, "_LONG_BYTES", 1)
    monkeypatch.setenv("KERAS_DYNAMONET_CACHE", str(tmp_path / "cache"))
    lines = []
    for k in range(10):
        (tmp_path / f"v{k}.mp4").write_bytes(bytes(k))
        lines.append(f"v{k}.mp4,{'ab'[k % 2]},{'train' if k < 8 else 'test'}\n")
    path = tmp_path / "list.csv"
    path.write_text("".join(lines))
    return path


def test_an_index_gives_what_the_list_gives(long_list, monkeypatch):
    with monkeypatch.context() as short:
        short.setattr(list_index, "_LONG_BYTES", 1 << 30)
        plain = load_manifest(long_list, split="train")
    first = load_manifest(long_list, split="train")
    monkeypatch.setattr(list_index, "file_sizes", None)  # nothing is looked at twice
    again = load_manifest(long_list, split="train")
    for manifest in (first, again):
        assert manifest.paths == plain.paths and manifest.root == plain.root
        assert manifest.labels.tolist() == plain.labels.tolist()
        assert manifest.fingerprint() == plain.fingerprint()
    assert again.sizes.tolist() == list(range(8))
    assert again.subset([3]).sizes.tolist() == [3]
    assert list_splits(long_list) == ("train", "test")


def test_a_changed_list_is_read_again(long_list):
    assert len(load_manifest(long_list)) == 10
    text = long_list.read_text().replace("v0.mp4,a", "v0.mp4,c")
    long_list.write_text(text)
    os.utime(long_list, ns=(0, 1))
    assert load_manifest(long_list).class_names == ("a", "b", "c")


def test_a_damaged_index_is_made_again(long_list, tmp_path):
    load_manifest(long_list)
    (ends,) = tmp_path.glob("cache/lists/*/path_ends.npy")
    ends.write_bytes(b"")
    assert len(load_manifest(long_list)) == 10
    assert ends.stat().st_size


def test_faulty_lists_are_not_kept(long_list, tmp_path):
    (tmp_path / "v3.mp4").unlink()
    for _ in range(2):
        with pytest.raises(UserError, match="line 4: v3.mp4 does not exist"):
            load_manifest(long_list)
    assert len(load_manifest(long_list, allow_missing=True)) == 10
    (tmp_path / "v3.mp4").touch()
    text = long_list.read_text()
    long_list.write_text(text + text.splitlines()[0])
    with pytest.raises(UserError, match="v0.mp4 is listed 2 times"):
        load_manifest(long_list)
    assert not list(tmp_path.glob("cache/lists/*"))


def test_without_a_cache_folder_all_goes_on(long_list, tmp_path, caplog):
    (tmp_path / "cache").write_text("not a folder")
    assert len(load_manifest(long_list)) == 10
    assert "its index cannot be kept" in caplog.text
