import doctest
import importlib
import pkgutil

import pytest

import keras_dynamonet.cli
import keras_dynamonet.training

MODULES = [
    f"{package.__name__}.{module.name}"
    for package in (keras_dynamonet.training, keras_dynamonet.cli)
    for module in pkgutil.iter_modules(package.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
