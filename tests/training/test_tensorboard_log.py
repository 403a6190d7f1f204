import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.training.tensorboard_log import (
    EventWriter,
    TensorBoardLog,
    prediction_sheet,
)


def read_events(folder):
    [path] = folder.iterdir()
    records = tf.data.TFRecordDataset(str(path))
    return [tf.compat.v1.Event.FromString(record.numpy()) for record in records]


def read_scalars(folder):
    return [
        (value.tag, event.step, value.simple_value)
        for event in read_events(folder)
        for value in event.summary.value
        if value.HasField("simple_value")
    ]


def test_scalars_and_pictures_are_written(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype("uint8")
    with EventWriter(tmp_path / "log", first_step=3) as writer:
        writer.scalars({"loss": 2.5}, step=4)
        writer.picture("frames", pixels, step=4)
    version, start, scalar, picture = read_events(tmp_path / "log")
    assert version.file_version == "brain.Event:2"
    assert start.step == 4  # what was written at step 3 stays
    assert start.session_log.status == tf.compat.v1.SessionLog.START
    assert scalar.summary.value[0].simple_value == 2.5
    image = picture.summary.value[0].image
    assert (image.height, image.width, image.colorspace) == (5, 7, 3)
    png = np.frombuffer(image.encoded_image_string, np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(png, cv2.IMREAD_COLOR_RGB), pixels)


def test_tensorboard_reads_them(tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    with EventWriter(tmp_path, first_step=0) as writer:
        writer.scalars({"epoch/loss": 0.5}, step=10)
        writer.picture("next_frames", np.zeros((4, 4, 3), np.uint8), step=10)
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("epoch/loss")] == [(10, 0.5)]
    assert len(events.Images("next_frames")) == 1


def test_callback_logs_steps_and_epochs_apart(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    log = TensorBoardLog(tmp_path, steps_per_epoch=4, first_step=4, every_steps=2)
    log.set_model(model)
    for batch in range(4):
        log.on_train_batch_end(batch, {"loss": float(batch)})
    log.on_epoch_end(1, {"loss": 1.0, "val_loss": 2.0})
    train = read_scalars(tmp_path / "train")
    assert [entry for entry in train if entry[0] != "learning_rate"] == [
        ("step/loss", 6, 1.0),
        ("step/loss", 8, 3.0),
        ("epoch/loss", 8, 1.0),
    ]
    rates = [value for tag, _, value in train if tag == "learning_rate"]
    assert rates == pytest.approx([0.01, 0.01])
    assert read_scalars(tmp_path / "validation") == [("epoch/loss", 8, 2.0)]


def test_sheet_shows_real_predicted_and_error():
    clips = np.zeros((2, 4, 6, 8, 3), np.uint8)
    clips[1, -1] = 255
    predicted = np.zeros((2, 3, 6, 8, 3), np.float32)
    sheet = prediction_sheet(clips, predicted, transitions=2, gap_px=1)
    assert sheet.shape == (2 * 3 * 7, 2 * 9, 3)
    rows = sheet.reshape(2, 3, 7, 2, 9, 3)[:, :, :6, :, :8]
    assert (rows[0, :2] == 0).all()
    assert (rows[0, 2] == 128).all()  # no error: grey
    assert (rows[1, 0, :, 1] == 255).all()  # the real last frame
    assert (rows[1, 2, :, 1] == 0).all()  # far too dark
