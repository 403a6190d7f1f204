import pytest

from keras_dynamonet.data.transforms import Augmentation
from keras_dynamonet.errors import UserError
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.settings import from_settings, load_settings
from keras_dynamonet.training.training_data import make_augmentation


def test_file_restores_the_configuration(tmp_path):
    config = TrainConfig(
        data="videos",
        epochs=3,
        scales=(1.0, 0.5),
        frame_loss={"l1": 0.5, "ssim": 0.5},
        model={"kernel_size": 7},
    )
    config.save(tmp_path / "config.json")
    assert from_settings(TrainConfig, load_settings(tmp_path / "config.json")) == config


def test_augmentation_defaults_are_those_of_the_data():
    assert make_augmentation(TrainConfig()) == Augmentation()
    assert make_augmentation(TrainConfig(augment=False)) == Augmentation.none()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "`epochs` must be at least 1. Received: epochs=0"),
        ({"seed": -1}, r"`seed` must lie in \[0, 2\*\*32\)"),
        ({"workers": 0}, "`workers` must be at least 1"),
        ({"checkpoint_steps": 0}, "`checkpoint_steps` must be at least 1"),
        ({"learning_rate": 0.0}, "`learning_rate` must be positive"),
        ({"fps": -1.0}, "`fps` must be positive"),
        ({"weight_decay": -0.1}, "`weight_decay` must not be negative"),
        ({"loss_warmup_epochs": -1.0}, "`loss_warmup_epochs` must not be negative"),
        ({"clip_norm": -1.0}, "`clip_norm` must not be negative"),
        ({"max_bad_share": 1.5}, r"`max_bad_share` must lie in \[0, 1\]"),
        ({"labelled_share": 1.0}, r"`labelled_share` must lie in \[0, 1\)"),
        ({"validation_share": 1.0}, r"`validation_share` must lie in \[0, 1\)"),
        ({"momentum": 1.0}, r"`momentum` must lie in \[0, 1\)"),
        ({"dropout": 1.0}, r"`dropout` must lie in \[0, 1\)"),
        ({"filter_source": "guessed"}, "`filter_source` must be one of solved"),
        ({"segments": 0}, "`segments` must be at least 1"),
        ({"solver_maps": -1}, "`solver_maps` must not be negative"),
        ({"evidence": "none"}, "`evidence` must be one of both, feature, filters"),
        ({"frame_view": "blur"}, "`frame_view` must be one of raw"),
        ({"loss_weighting": "random"}, "`loss_weighting` must be one of fixed"),
        ({"scales": ()}, "`scales` must be shares from 0.1 to 1"),
        ({"scales": (1.2,)}, "`scales` must be shares from 0.1 to 1"),
        ({"fps": 10.0, "stride": 2}, "`stride` excludes `fps`"),
        ({"optimizer": "lion"}, "`optimizer` must be one of adamw, sgd"),
        ({"precision": "half"}, "`precision` must be one of float32"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be finite"),
    ],
)
def test_bad_values_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        TrainConfig(**settings)
