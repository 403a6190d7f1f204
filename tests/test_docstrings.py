"""Every example in the docstrings runs and prints what it says (on TensorFlow)."""

import doctest
import importlib
import pkgutil

import pytest

import keras_dynamonet

PACKAGES = ("layers", "models")
MODULES = ("errors", "losses", "metrics")


def module_names():
    names = ["keras_dynamonet", *(f"keras_dynamonet.{name}" for name in MODULES)]
    for package in PACKAGES:
        module = importlib.import_module(f"keras_dynamonet.{package}")
        for info in pkgutil.iter_modules(module.__path__, f"{module.__name__}."):
            names.append(info.name)
    return names


@pytest.mark.parametrize("name", module_names())
def test_examples(name):
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert results.failed == 0


def test_every_layer_has_an_example():
    layers = keras_dynamonet.layers
    for name in layers.__all__:
        assert ">>> " in getattr(layers, name).__doc__, name
