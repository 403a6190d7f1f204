"""One tiny network with clips for all tests of exporters."""

import pytest

from keras_dynamonet.exporters.calibration import share_out
from keras_dynamonet.exporters.source import ExportSource
from tests.exporters.networks import moving_clips, tiny_network


@pytest.fixture(scope="session")
def source():
    """Do not change it."""
    return ExportSource(tiny_network(), share_out(moving_clips(44, 4, 16), 36))
