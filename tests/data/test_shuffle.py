import numpy as np
import pytest

from keras_dynamonet.data import shuffle
from keras_dynamonet.data.shuffle import Shuffle


def order(count: int, seed: int) -> list[int]:
    permutation = Shuffle(count, np.random.default_rng(seed))
    return [permutation[place] for place in range(count)]


def test_short_orders_are_those_of_numpy():
    assert order(100, 3) == np.random.default_rng(3).permutation(100).tolist()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 64, 65, 1000])
def test_long_orders_are_permutations(count, monkeypatch):
    monkeypatch.setattr(shuffle, "_LONGEST_LIST", 0)
    first = order(count, 0)
    assert sorted(first) == list(range(count))
    assert first == order(count, 0)
    if count > 5:
        assert first != order(count, 1)


def test_long_orders_look_random(monkeypatch):
    """Places and values, and neighbours, are as good as independent."""
    monkeypatch.setattr(shuffle, "_LONGEST_LIST", 0)
    count = 3000
    for seed in range(4):
        values = np.array(order(count, seed))
        # The correlation of random permutations has a deviation of 1 / sqrt(count).
        for pairs in ((np.arange(count), values), (values[:-1], values[1:])):
            assert abs(np.corrcoef(*pairs)[0, 1]) < 5 / np.sqrt(count)
        # Cells of 10 x 10: chi-squared with 81 degrees of freedom, deviation 12.7.
        cells, _, _ = np.histogram2d(np.arange(count), values, bins=10)
        expected = count / 100
        assert np.sum((cells - expected) ** 2 / expected) < 81 + 5 * 12.7


def test_a_place_outside_is_an_error():
    for place in (-1, 4):
        with pytest.raises(IndexError, match=f"There is no place {place} among 4"):
            Shuffle(4, np.random.default_rng(0))[place]
