import numpy as np

from keras_dynamonet.reports import FilterComparison, FilterRow
from keras_dynamonet.reports.curve_figures import curve, filter_shift, shift_curves


def shifting(right: int, up: int, size: int = 5) -> np.ndarray:
    """The filter that moves a picture by whole pixels, as a correlation does."""
    taps = np.zeros((size, size))
    taps[size // 2 + up, size // 2 - right] = 1.0
    return taps


def test_shift_is_that_of_the_moved_picture():
    frame = np.zeros((9, 9))
    frame[4, 4] = 1.0
    for right, up in [(0, 0), (2, 0), (0, 1), (-1, -2)]:
        taps = shifting(right, up)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(frame, 2), (5, 5))
        row, column = np.argwhere((windows * taps).sum((-2, -1)) == 1)[0]
        assert (column - 4, 4 - row) == (right, up)
        np.testing.assert_allclose(filter_shift(taps[None]), [[right, up]])


def test_shift_of_a_mixture_is_the_mean_and_of_nothing_is_nan():
    mixture = 0.75 * shifting(2, 0) + 0.25 * shifting(-2, 0)
    np.testing.assert_allclose(filter_shift(2 * mixture[None]), [[1.0, 0.0]])
    assert np.isnan(filter_shift(np.zeros((1, 3, 3)))).all()


def test_a_backward_row_is_drawn_backwards():
    filters = np.stack([shifting(right, 0) for right in (0, 1, 2)])
    rows = [FilterRow("on", filters), FilterRow("back", filters, backwards=True)]
    sideways, vertical = shift_curves(FilterComparison("", rows))
    lines = sideways.axes[0].get_lines()[1:]  # the first one is zero
    assert [line.get_ydata().tolist() for line in lines] == [[0, 1, 2], [2, 1, 0]]
    assert [figure.axes[0].get_xlabel() for figure in (sideways, vertical)] == [
        "transition",
        "transition",
    ]
    for line in vertical.axes[0].get_lines():
        assert not np.any(line.get_ydata())


def test_levels_are_named_beside_the_curves():
    history = {"accuracy": [0.2, 0.4], "val_accuracy": [0.1, 0.3]}
    figure = curve(
        history, "accuracy", label="share", share=True, levels={"guessing": 0.125}
    )
    axes = figure.axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["guessing", "training", "validation"]
    assert axes.get_lines()[1].get_ydata().tolist() == [0.1, 0.3]
    assert axes.get_ylim() == (0, 1)
