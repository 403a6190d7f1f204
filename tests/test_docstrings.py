"""Every example in the docstrings runs and prints what it says (on TensorFlow)."""

import doctest
import importlib
from pathlib import Path

import pytest

import keras_dynamonet

PACKAGE = Path(keras_dynamonet.__file__).parent


MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name.removesuffix(".__init__"))
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert results.attempted
    assert results.failed == 0


def test_every_layer_has_an_example():
    layers = keras_dynamonet.layers
    for name in layers.__all__:
        assert ">>> " in getattr(layers, name).__doc__, name
