"""TensorFlow, JAX and PyTorch compute the same from the same weights, and TensorFlow
without oneDNN, too."""

import importlib.util
import json

import numpy as np
import pytest

from tests.backend_worker import NETWORKS, ONEDNN_ALONE, on_eigen
from tests.fresh_process import run_python


def run_worker(kernels, folder, *networks, data_format="channels_last", **environment):
    path = folder / f"{kernels}.npz"
    backend, _, eigen = kernels.partition("_")
    onednn = False if eigen else None
    environment = {"backend": backend, "onednn": onednn, **environment}
    run_python("-m", "tests.backend_worker", path, *networks, **environment)
    with np.load(path) as file:
        numbers = dict(file)
    assert numbers.pop("kernels") == kernels
    assert numbers.pop("data_format") == data_format
    return numbers


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    if on_eigen():
        pytest.skip("TensorFlow has no oneDNN here, whose numbers are the reference")
    return run_worker("tensorflow", tmp_path_factory.mktemp("tensorflow"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernels", "networks"),
    [
        ("tensorflow_eigen", ("generated",)),
        pytest.param(
            "tensorflow_eigen",
            ("solved", "refined", "segments"),
            marks=pytest.mark.long,
        ),
        ("torch", tuple(NETWORKS)),
        # XLA compiles each for half a minute.
        ("jax", ("segments",)),
        pytest.param("jax", ("generated", "solved", "refined"), marks=pytest.mark.long),
    ],
)
def test_layers_predictions_losses_and_gradients_are_equal(
    kernels, networks, reference, tmp_path
):
    backend = kernels.partition("_")[0]
    if importlib.util.find_spec(backend) is None:
        # Where it must not be skipped, `conftest.py` has failed already.
        pytest.skip(f"{backend} is not installed")
    numbers = run_worker(kernels, tmp_path, *networks)
    others = tuple(f"{name}_" for name in NETWORKS if name not in networks)
    left_out = set(reference) - set(numbers)
    left_out = {name for name in left_out if not name.startswith(others)}
    slopes = {f"{name}_slope0" for name in ONEDNN_ALONE}
    assert left_out == (slopes if kernels == "tensorflow_eigen" else set())
    assert set(numbers) <= set(reference)
    differing = []
    for name in numbers:
        expected = reference[name]
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
def test_the_users_default_place_of_channels_does_not_matter(reference, tmp_path):
    place = "channels_first"
    settings = {"image_data_format": place, "backend": "tensorflow"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    numbers = run_worker(
        *("tensorflow", tmp_path, "generated"), data_format=place, keras_home=tmp_path
    )
    assert "generated_logits" in numbers and "stc" in numbers
    for name, found in numbers.items():
        np.testing.assert_allclose(found, reference[name], atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_nothing_compared_is_zero_or_not_finite(reference):
    for name, array in reference.items():
        assert np.isfinite(array).all(), name
    forms = [name for name in reference if name.startswith(("conv", "filter"))]
    # 5 forms of the convolution and 12 of the filter; gradients to one and two inputs.
    assert len(forms) == 5 * 2 + 12 * 3
    assert all(np.any(reference[name]) for name in forms)
