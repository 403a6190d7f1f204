"""TensorFlow, JAX and PyTorch compute the same from the same weights."""

import importlib.util

import numpy as np
import pytest

from tests.fresh_process import run_python


def run_worker(backend, folder):
    path = folder / f"{backend}.npz"
    run_python("-m", "tests.backend_worker", path, backend=backend)
    with np.load(path) as file:
        numbers = dict(file)
    assert numbers.pop("backend") == backend
    return numbers


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return run_worker("tensorflow", tmp_path_factory.mktemp("tensorflow"))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ("jax", "torch"))
def test_layers_predictions_losses_and_gradients_are_equal(
    backend, reference, tmp_path
):
    if importlib.util.find_spec(backend) is None:
        # Where it must not be skipped, `conftest.py` has failed already.
        pytest.skip(f"{backend} is not installed")
    numbers = run_worker(backend, tmp_path)
    assert set(numbers) == set(reference)
    differing = []
    for name, expected in reference.items():
        # Relative to the largest number: a gradient has no size of its own.
        scale = np.abs(expected).max() + 1e-3
        error = np.abs(numbers[name].astype("float64") - expected).max() / scale
        # Iterations add up rounding; conjugate gradient promises 1e-3.
        iterated = ("solver_conjugate_gradient", "solver_newton")
        allowed = 1e-3 if name.startswith(iterated) else 1e-4
        if not error < allowed:
            differing.append(f"{name}: {error:.1e}")
    assert not differing, differing


@pytest.mark.slow
def test_nothing_compared_is_zero_or_not_finite(reference):
    for name, array in reference.items():
        assert np.isfinite(array).all(), name
    forms = [name for name in reference if name.startswith(("conv", "filter"))]
    # 3 forms of the convolution and 12 of the filter; gradients to one and two inputs.
    assert len(forms) == 3 * 2 + 12 * 3
    assert all(np.any(reference[name]) for name in forms)
