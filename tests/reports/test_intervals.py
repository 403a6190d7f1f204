import pytest
from scipy.stats import binomtest

from keras_dynamonet.reports import wilson_interval


@pytest.mark.parametrize(("hits", "trials"), [(0, 5), (5, 5), (8, 10), (143, 160)])
def test_agrees_with_scipy(hits, trials):
    expected = binomtest(hits, trials).proportion_ci(method="wilson")
    assert wilson_interval(hits, trials) == pytest.approx(tuple(expected))


@pytest.mark.parametrize(("hits", "trials"), [(1, 0), (-1, 3), (4, 3)])
def test_impossible_counts_are_refused(hits, trials):
    with pytest.raises(ValueError, match="`hits` must lie between"):
        wilson_interval(hits, trials)
