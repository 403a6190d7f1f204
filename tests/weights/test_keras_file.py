import keras
import numpy as np
import pytest

from keras_dynamonet.models.dynamonet import DynamoNet
from keras_dynamonet.weights.keras_file import save_keras_file
from tests.weights.small_models import clips, make_classifier, run


@pytest.mark.parametrize("wrapped", [False, True])
def test_keras_loads_what_was_saved(wrapped, tmp_path):
    model = make_classifier(class_names=["a", "b", "c"])
    if wrapped:
        model = DynamoNet.from_backbone(model)
    save_keras_file(model, tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras")
    assert loaded.class_names == ["a", "b", "c"]
    expected, found = run(model, clips()), run(loaded, clips())
    keras.tree.map_structure(np.testing.assert_array_equal, found, expected)
    assert [path.name for path in tmp_path.iterdir()] == ["net.keras"]


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    model = make_classifier()
    monkeypatch.setattr(model, "save_weights", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_keras_file(model, tmp_path / "net.keras")
    assert list(tmp_path.iterdir()) == []
