import csv
import json
import math
import shutil

import keras
import numpy as np
import pytest

from keras_dynamonet.data.layouts import read_listing
from keras_dynamonet.data.manifest import load_manifest
from keras_dynamonet.data.packing import pack_videos
from keras_dynamonet.data.pipeline import training_dataset
from keras_dynamonet.errors import UserError
from keras_dynamonet.training import session
from keras_dynamonet.training.evaluation import evaluate
from keras_dynamonet.training.run_directory import RunDirectory, load_run_config
from keras_dynamonet.training.trained_model import load_trained_model
from keras_dynamonet.training.trainer import train
from tests.tiny_runs import tiny_config


def test_run_folder_holds_everything(trained_run, action_videos):
    run = trained_run.run
    with run.history.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    names = {"loss", "accuracy", "psnr_gain_unseen", "val_loss", "val_accuracy"}
    assert names | {"clips_per_second", "data_wait_share"} <= rows[0].keys()
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())
    environment = json.loads(run.environment.read_text())
    assert environment["classes"] == ["down", "left", "right"]
    assert (environment["training_videos"], environment["validation_videos"]) == (12, 6)
    train = load_manifest(action_videos, split="train")
    assert environment["training_fingerprint"] == train.fingerprint()
    assert json.loads(run.bad_files.read_text()) == {"bad": [], "too_short": []}
    assert {path.name for path in run.tensorboard.iterdir()} == {"train", "validation"}
    assert not list(run.path.glob(".*"))


def test_result_sums_up(trained_run):
    assert trained_run.steps == 6
    assert trained_run.bad_files == 0
    assert trained_run.best == trained_run.history[trained_run.best_epoch - 1]
    assert trained_run.seconds > 0


def test_validation_is_that_of_the_best_model(trained_run, action_videos):
    """The accuracy in the history, counted again on the saved model."""
    trained = load_trained_model(trained_run.run.path)
    validation = load_manifest(action_videos, split="validation")
    result = evaluate(trained, validation, frame_clips=0)
    accuracy = result.classification.clip_accuracy.value
    assert accuracy == pytest.approx(trained_run.best["val_accuracy"])


def test_configuration_is_kept(trained_run, action_videos):
    config = tiny_config(action_videos, trained_run.run.path, checkpoint_steps=2)
    assert load_run_config(trained_run.run) == config


def test_a_run_from_before_labelled_videos_came_again_goes_on_as_it_was(
    trained_run, tmp_path
):
    settings = json.loads(trained_run.run.config.read_text())
    assert settings.pop("labelled_share") == 0.5
    (tmp_path / "config.json").write_text(json.dumps(settings))
    assert load_run_config(RunDirectory(tmp_path)).labelled_share == 0.0


def test_a_bad_file_is_replaced_and_listed(action_videos, tmp_path):
    data = shutil.copytree(action_videos, tmp_path / "data")
    (data / "train" / "left" / "broken.mp4").write_bytes(b"not a video")
    run = RunDirectory(tmp_path / "run")
    result = train(tiny_config(data, run.path, epochs=1))
    assert (result.bad_files, result.steps) == (1, 4)
    [bad] = json.loads(run.bad_files.read_text())["bad"]
    assert bad["path"].endswith("broken.mp4") and bad["reason"]


def test_pretraining_on_frames_starts_a_classifier_that_also_sees_unlabelled_videos(
    action_videos, tmp_path, monkeypatch
):
    first = RunDirectory(tmp_path / "pretrain")
    config = tiny_config(
        action_videos,
        first.path,
        task="frames",
        epochs=1,
        precision="mixed_bfloat16",
        steps_per_execution=2,
    )
    [row] = train(config).history
    assert "accuracy" not in row and "val_accuracy" not in row
    assert row["psnr_gain_observed"] > 0
    assert keras.config.dtype_policy().name == "float32"
    pretrained = load_trained_model(first.path)
    with pytest.raises(UserError, match="was trained on frames alone"):
        _ = pretrained.class_names

    labels = []

    def with_labels_noted(*arguments, **settings):
        dataset = training_dataset(*arguments, **settings)
        labels.extend(label for _, label in dataset.take(5).unbatch())
        return dataset

    monkeypatch.setattr(session, "training_dataset", with_labels_noted)
    second = RunDirectory(tmp_path / "tuned")
    config = tiny_config(
        action_videos / "test",
        second.path,
        init=str(first.path),
        model={},
        unlabelled=str(action_videos / "train"),
        validation_share=0.0,
        augment=False,
        optimizer="sgd",
        # So small that the backbone stays where the first run left it.
        learning_rate=1e-12,
        epochs=1,
    )
    result = train(config)
    assert result.steps == math.ceil((12 + 6) / 4)
    # A third of the videos have a label, and half of the clips.
    assert np.sum(np.array(labels) >= 0) == len(labels) / 2 == 10
    assert "accuracy" in result.history[0] and "val_loss" not in result.history[0]
    tuned = load_trained_model(second.path).model
    assert tuned.dtype_policy.name == "float32"
    kernels = [
        next(
            v.numpy() for v in model.weights if v.path.endswith("stem_conv/conv/kernel")
        )
        for model in (pretrained.model, tuned)
    ]
    np.testing.assert_allclose(*kernels, atol=1e-6)


def test_mistakes_leave_an_earlier_run_alone(trained_run, action_videos):
    """Also with `overwrite`: the folder is cleared only when all else is right."""
    before = trained_run.run.last.read_bytes()
    for changes, message in (
        ({"preset": "giant"}, "unknown"),
        ({"frame_loss": "distance"}, "distance"),
        ({"split": "other"}, "has no split"),
    ):
        config = tiny_config(action_videos, trained_run.run.path, **changes)
        with pytest.raises(UserError, match=message):
            train(config, overwrite=True)
    with pytest.raises(UserError, match="holds a run already"):
        train(tiny_config(action_videos, trained_run.run.path))
    assert trained_run.run.last.read_bytes() == before


def test_too_many_bad_files_stop_the_run_with_one_line(action_videos, tmp_path):
    data = shutil.copytree(action_videos / "train", tmp_path / "data")
    for path in sorted(data.rglob("*.mp4"))[:6]:
        path.write_bytes(b"")
    config = tiny_config(data, tmp_path / "run", validation_share=0.0)
    with pytest.raises(UserError, match="videos cannot be read, more than the toler"):
        train(config)


def test_no_run_to_load(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        load_run_config(RunDirectory(tmp_path))


@pytest.mark.long
def test_packed_videos_are_trained_on_through_a_data_service(
    action_videos, service, tmp_path
):
    packed = tmp_path / "packed"
    pack_videos(read_listing(action_videos), packed, workers=1)
    config = tiny_config(packed, tmp_path / "run", epochs=1, data_service=service)
    result = train(config)
    assert result.steps == 3 and math.isfinite(result.best["loss"])
    unpacked = tiny_config(action_videos, tmp_path / "other", data_service=service)
    with pytest.raises(UserError, match="a data service reads packed videos only"):
        train(unpacked)
