import numpy as np
import pytest

from keras_dynamonet.data.path_table import PathTable, row_numbers

STRINGS = ("a.mp4", "", "läuft/走る.mp4", "bad \udce4 bytes.avi")


def test_a_table_behaves_as_a_tuple():
    table = PathTable.from_strings(iter(STRINGS))
    assert table == STRINGS and tuple(table) == STRINGS and table != STRINGS[:3]
    assert table[-1] == STRINGS[-1] and table[1:3] == STRINGS[1:3]
    assert list(table[::-1]) == list(STRINGS[::-1])
    assert "" in table and "b.mp4" not in table and table != "a.mp4"
    assert PathTable.from_strings(table) is table
    with pytest.raises(IndexError, match="There is no string 4 among 4"):
        table[4]


def test_taken_rows_share_the_text_until_compacted():
    table = PathTable.from_strings(STRINGS).take([3, 0, 0]).take([2, 0])
    assert list(table) == ["a.mp4", STRINGS[3]] and table[-2] == "a.mp4"
    compact = table.compact()
    assert compact == table and len(compact.text) < len(table.text)
    assert repr(table.take([0])) == "PathTable('a.mp4')"
    assert "997 more" in repr(PathTable.from_strings(map(str, range(1000))))


def test_long_tables_iterate_as_they_index():
    strings = [f"{k}" * (k % 3) for k in range(10_000)]
    table = PathTable.from_strings(strings)
    assert list(table) == strings
    rows = np.random.default_rng(0).integers(10_000, size=9_000)
    assert list(table.take(rows)) == [strings[row] for row in rows]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([2, 0, 0], [2, 0, 0]),
        ([-1, 1, -4], [3, 1, 0]),
        ([False, True, False, True], [1, 3]),
        (np.zeros(4, bool), []),
        ([], []),
        (range(1, 3), [1, 2]),
        (np.array([3], np.uint8), [3]),
    ],
)
def test_rows_are_numbers_or_a_mask(rows, found):
    numbers = row_numbers(rows, 4)
    assert numbers.tolist() == found and numbers.dtype == np.int64
    table = PathTable.from_strings(STRINGS).take(rows)
    assert list(table) == [STRINGS[row] for row in found]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([True], r"one value a row. Received: a mask of shape \(1,\) for 4 rows"),
        ([0, 4], r"lie in \[-4, 4\). Received: rows from 0 to 4"),
        ([-5], "Received: rows from -5 to -5"),
        ([0.5], r"whole numbers or a mask. Received: float64 of shape \(1,\)"),
        (2, r"Received: int64 of shape \(\)"),
    ],
)
def test_rows_that_are_none(rows, message):
    with pytest.raises(ValueError, match=message):
        PathTable.from_strings(STRINGS).take(rows)
