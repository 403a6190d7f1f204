import shutil
from pathlib import Path

import keras
import pytest

from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.data.mocap.classes import TRACKS
from keras_dynamonet.errors import UserError
from keras_dynamonet.training.trained_model import load_trained_model, model_file
from tests.tiny_runs import tiny_config


def test_a_run_gives_its_best_model_and_clips(trained_run):
    trained = load_trained_model(trained_run.run.path)
    assert trained.path == trained_run.run.best
    assert trained.spec == ClipSpec(num_frames=4, size=16, fps=12.0)
    assert trained.class_names == ["down", "left", "right"]


def test_a_file_in_a_run_is_read_with_the_runs_settings(trained_run, tmp_path):
    shutil.copy(trained_run.run.best, tmp_path / "best.keras")
    tiny_config("data", tmp_path, short_videos="hold").save(tmp_path / "config.json")
    trained = load_trained_model(tmp_path / "best.keras")
    assert trained.run.path == tmp_path
    assert trained.spec.short_videos == "hold"


def test_a_file_of_its_own_has_no_run(trained_run, tmp_path):
    shutil.copy(trained_run.run.best, tmp_path / "model.keras")
    assert load_trained_model(tmp_path / "model.keras").run is None


def test_a_file_of_its_own_keeps_its_stride(trained_run, tmp_path):
    model = load_trained_model(trained_run.run.path).model
    config = {**model.get_config(), "fps": None, "stride": 2}
    type(model).from_config(config).save(tmp_path / "strided.keras")
    spec = load_trained_model(tmp_path / "strided.keras").spec
    assert (spec.fps, spec.stride) == (None, 2)


def test_a_run_whose_model_has_no_stride_knows_it_from_its_settings(
    trained_run, tmp_path
):
    model = load_trained_model(trained_run.run.path).model
    config = {**model.get_config(), "fps": None}
    del config["stride"]
    type(model).from_config(config).save(tmp_path / "best.keras")
    tiny_config("data", tmp_path, stride=2).save(tmp_path / "config.json")
    assert load_trained_model(tmp_path).spec.stride == 2


def test_pace_can_be_changed(trained_run):
    assert load_trained_model(trained_run.run.path, fps=6.0).spec.fps == 6.0
    strided = load_trained_model(trained_run.run.path, stride=2).spec
    assert (strided.fps, strided.stride) == (None, 2)
    with pytest.raises(UserError, match="`fps` must be a positive number"):
        load_trained_model(trained_run.run.path, fps=-1.0)
    with pytest.raises(UserError, match="exclude each other"):
        load_trained_model(trained_run.run.path, fps=6.0, stride=2)


def test_a_run_without_a_finished_epoch(tmp_path):
    with pytest.raises(UserError, match="holds no trained model .no best.keras"):
        load_trained_model(tmp_path)


def test_another_kind_of_model(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(tmp_path / "other.keras")
    with pytest.raises(UserError, match="holds a Sequential, not a DynamoNet"):
        load_trained_model(tmp_path / "other.keras")


def test_missing_and_broken_files(tmp_path):
    (tmp_path / "broken.keras").write_text("")
    for name in ("none.keras", "broken.keras"):
        with pytest.raises(UserError, match=name):
            load_trained_model(tmp_path / name)


def test_a_model_that_comes_with_the_package(tmp_path, monkeypatch):
    trained = load_trained_model("mocap25-nano")
    assert trained.shipped
    assert trained.class_names == sorted(TRACKS["all"])
    assert trained.spec == ClipSpec(num_frames=16, size=64, fps=12.0)
    assert trained.path.stat().st_size < 8e6
    assert "# mocap25-nano" in trained.path.with_suffix(".md").read_text()
    # A folder of that name hides it only if it is a run's.
    monkeypatch.chdir(tmp_path)
    Path("mocap25-nano").mkdir()
    assert model_file("mocap25-nano") == trained.path
    Path("mocap25-nano/best.keras").touch()
    assert model_file("mocap25-nano") == Path("mocap25-nano/best.keras")


def test_other_models_are_not_shipped(trained_run):
    assert not load_trained_model(trained_run.run.path).shipped
    with pytest.raises(UserError, match="comes with the package .mocap25-nano"):
        load_trained_model("mocap25-nani")
