import pytest

from keras_dynamonet.models.presets import PRESETS
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.experiments import EXPERIMENTS, experiment_settings
from keras_dynamonet.training.settings import from_settings


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_settings_give_the_experiment_and_leave_data_open(name):
    settings = experiment_settings(name)
    assert from_settings(TrainConfig, settings) == EXPERIMENTS[name]
    assert not {"data", "run_dir", "validation", "init"} & settings.keys()
    assert EXPERIMENTS[name].preset in {None, *PRESETS}
