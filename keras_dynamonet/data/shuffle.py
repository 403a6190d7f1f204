"""The order of an epoch as a pure function, without a list of a billion places."""

import numpy as np

# Up to here an epoch's order is NumPy's permutation, 1 MB at most. Longer ones would
# cost memory in proportion.
_LONGEST_LIST = 1 << 17
_ROUNDS = 6
_MIX = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, as in SplitMix64
_MASK = (1 << 64) - 1


class Shuffle:
    """A permutation of `range(count)`, drawn from a stream of random numbers.

    Long ones are a Feistel network over the next even power of two, walked on until
    the result lies within range (Black and Rogaway, "Ciphers with Arbitrary Finite
    Domains", 2002): constant memory, a few microseconds for each place.

    Args:
        count: Number of places, at least 1.
        rng: Where the permutation comes from.

    Example:

    >>> shuffle = Shuffle(5, np.random.default_rng(0))
    >>> sorted(shuffle[place] for place in range(5))
    [0, 1, 2, 3, 4]
    """

    def __init__(self, count: int, rng: np.random.Generator):
        self._count = count
        self._list = rng.permutation(count) if count <= _LONGEST_LIST else None
        self._half_bits = max(1, ((count - 1).bit_length() + 1) // 2)
        self._keys = [int(key) for key in rng.integers(1 << 63, size=_ROUNDS)]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> int:
        """What stands at a place, both in `[0, count)`."""
        if not 0 <= place < self._count:
            raise IndexError(f"There is no place {place} among {self._count}.")
        if self._list is not None:
            return int(self._list[place])
        place = self._encrypt(int(place))
        while place >= self._count:
            place = self._encrypt(place)
        return place

    def _encrypt(self, value: int) -> int:
        bits = self._half_bits
        low_mask = (1 << bits) - 1
        left, right = value >> bits, value & low_mask
        for key in self._keys:
            left, right = right, left ^ (_mix(right ^ key) & low_mask)
        return left << bits | right


def _mix(value: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    value = (value + _MIX) & _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31
