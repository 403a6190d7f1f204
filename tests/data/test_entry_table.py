from keras_dynamonet.data.entry_table import Entry, EntryTable

ENTRIES = [
    Entry("a.mp4", "run", "train", "list.csv", 1),
    Entry("b ü.mp4", None, "test", "list.csv", 2),
    Entry("c.mp4", "walk"),
]


def test_entries_come_back_as_they_were():
    table = EntryTable.from_entries(iter(ENTRIES))
    assert list(table) == ENTRIES and list(table[1:]) == ENTRIES[1:]
    sources = [entry.source for entry in table]
    assert sources == ["list.csv, line 1", "list.csv, line 2", ""]
    assert EntryTable.from_entries(table) is table
    assert table.take([2, 0]).labels.tolist() == [1, 0]
    assert list(table.take([False, True, True])) == list(table.take([-2, -1]))
    assert list(table.take([-1])) == ENTRIES[2:]


def test_saved_tables_are_mapped(tmp_path):
    table = EntryTable.from_entries(ENTRIES).take([2, 1])
    table.save(tmp_path)
    loaded = EntryTable.load(tmp_path)
    assert list(loaded) == [ENTRIES[2], ENTRIES[1]] and loaded.sizes is None
    sized = EntryTable.load(tmp_path).with_sizes([5, 7])
    (tmp_path / "sized").mkdir()
    sized.take([1]).save(tmp_path / "sized")
    assert EntryTable.load(tmp_path / "sized").sizes.tolist() == [7]
