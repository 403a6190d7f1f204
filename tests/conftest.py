"""Settings of the whole test suite."""

import importlib.util
import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_configure(config: pytest.Config) -> None:
    """Fails where tests on PyTorch must run (`REQUIRE_TORCH=1`) but could not."""
    required = os.environ.get("REQUIRE_TORCH") == "1"
    if required and importlib.util.find_spec("torch") is None:
        raise pytest.UsageError(
            "REQUIRE_TORCH=1, but PyTorch is not installed: its tests would be "
            "skipped. Install a CPU build of torch or unset REQUIRE_TORCH."
        )
