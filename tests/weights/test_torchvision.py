"""torchvision's own networks, where it is installed."""

import keras
import numpy as np
import pytest

torch = pytest.importorskip("torch")
try:
    from torchvision.models import video
except (ImportError, RuntimeError) as error:  # RuntimeError: built for another PyTorch
    pytest.skip(f"torchvision: {error}", allow_module_level=True)

from keras_dynamonet.weights import ARCHITECTURES, import_checkpoint  # noqa: E402
from keras_dynamonet.weights.pixels import PIXELS  # noqa: E402
from tests.weights.networks import normalised, random_clips  # noqa: E402
from tests.weights.torch_networks import randomise  # noqa: E402


@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18"])
def test_logits_equal_those_of_torchvision(name, tmp_path):
    network = randomise(getattr(video, name)(num_classes=11))
    torch.save(network.state_dict(), tmp_path / "net.pth")
    result = import_checkpoint(tmp_path / "net.pth", num_frames=6, size=40)
    assert result.pixels == "torchvision"
    assert result.architecture.config == {**ARCHITECTURES[name], "num_classes": 11}
    clips = random_clips(frames=6, size=40)
    with torch.no_grad():
        expected = network(normalised(clips, PIXELS["torchvision"])).numpy()
    found = keras.ops.convert_to_numpy(result.model(clips, training=False))
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
