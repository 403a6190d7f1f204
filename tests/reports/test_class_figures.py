import numpy as np
import pytest

from keras_dynamonet.reports import Classification
from keras_dynamonet.reports.class_figures import class_accuracy, confusion_matrix
from tests.reports import samples


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_few_classes_get_counts_where_there_are_any():
    counts = sorted(map(int, texts(confusion_matrix(samples.classification()))))
    assert counts == [1, 1, 2, 3, 7, 8, 9, 9]


def test_many_classes_become_a_picture_with_all_names():
    confusion = np.eye(60, dtype=int) * 5
    confusion[3, 7] = 5
    names = [f"c{i}" for i in range(60)]
    figure = confusion_matrix(Classification(names, confusion))
    axes = figure.axes[0]
    assert texts(figure) == []
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    opacity = axes.images[0].get_array()[..., 3]
    np.testing.assert_allclose(opacity[3, [3, 7]], np.sqrt(0.5))
    assert (opacity > 0).sum() == 61


def test_classes_keep_their_order_while_they_are_few():
    [figure] = class_accuracy(samples.classification())
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == list(samples.NAMES)
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == [0.9, 0.7, 0.8, 0.9]
    assert [name.split()[0] for name in texts(figure)] == ["guessing", "order-blind"]


@pytest.mark.parametrize(("classes", "panels"), [(34, 1), (35, 2), (101, 3)])
def test_many_classes_are_sorted_and_spread(classes, panels):
    hits = np.arange(classes) % 7
    confusion = np.diag(hits)
    confusion[:, 0] += 7 - hits
    figures = class_accuracy(
        Classification([str(i) for i in range(classes)], confusion)
    )
    assert len(figures) == panels
    widths = [bar.get_width() for figure in figures for bar in figure.axes[0].patches]
    assert len(widths) == classes
    assert widths == sorted(widths)


def test_classes_without_videos_are_left_out_and_long_names_cut():
    names = ["empty", "x" * 40]
    [figure] = class_accuracy(Classification(names, np.array([[0, 0], [1, 2]])))
    [label] = figure.axes[0].get_yticklabels()
    assert label.get_text() == "x" * 25 + "…"
