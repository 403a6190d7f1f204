import json

import keras
import pytest

from keras_dynamonet.errors import UserError
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.distribution import Distribution
from keras_dynamonet.training.machines import Machines, join


def test_one_process_with_one_device_needs_nothing():
    distribution = join(Machines())
    assert (distribution.num_devices, distribution.is_main) == (1, True)
    assert join(Machines(devices=1)).num_processes == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"devices": 0}, "`devices` must be at least 1. Received: 0"),
        ({"process_index": -1}, "`process_index` must be at least 0. Received: -1"),
        ({"processes": 2}, "--processes and --process-index need --coordinator"),
        ({"coordinator": "here"}, "`coordinator` must be HOST:PORT or auto"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(UserError, match=message):
        Machines(**settings)


def test_several_processes_need_jax(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    with pytest.raises(UserError, match="set KERAS_BACKEND=jax"):
        join(Machines(coordinator="127.0.0.1:1", processes=2, process_index=0))


def test_several_devices_need_a_backend_that_shares_steps(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(UserError, match="--devices 2: several devices train on"):
        join(Machines(devices=2))


def test_missing_devices_are_named():
    with pytest.raises(UserError, match=r"--devices 99: TensorFlow sees \d+ "):
        join(Machines(devices=99))


@pytest.mark.parametrize(
    ("variable", "launcher"),
    [("SLURM_STEP_NUM_TASKS", "srun"), ("OMPI_COMM_WORLD_SIZE", "mpirun")],
)
def test_processes_that_know_nothing_of_each_other(variable, launcher, monkeypatch):
    monkeypatch.setenv(variable, "4")
    with pytest.raises(UserError, match=f"{launcher} started 4 processes"):
        join(Machines())


def test_multi_worker_mirrored_strategy_is_refused(monkeypatch):
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with pytest.raises(UserError, match="TF_CONFIG names 2 workers, but Keras 3"):
        join(Machines())
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(UserError, match="TF_CONFIG is no valid JSON"):
        join(Machines())


def test_description_says_what_is_computed_where():
    config = TrainConfig(
        batch_size=64, scale_learning_rate="linear", learning_rate_batch=16
    )
    found = Distribution().describe(config)
    assert found["learning_rate"] == pytest.approx(4e-3)
    assert found["learning_rate_rule"] == "0.001 x 64 / 16"
    assert found["data_sharding"].startswith("process p of 1 reads samples p * 64")
    assert Distribution().describe(TrainConfig())["learning_rate"] == 1e-3


def test_a_step_must_be_shared_out_evenly():
    distribution = Distribution()
    distribution.num_devices = 3
    with pytest.raises(UserError, match="`batch_size` must be a multiple of the 3"):
        distribution.check(TrainConfig(batch_size=16))
