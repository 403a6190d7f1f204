import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest

from keras_dynamonet.training.evaluation import (
    Classification,
    EvaluationResult,
    Protocol,
)
from keras_dynamonet.training.frame_quality import FrameBounds, FrameQuality
from keras_dynamonet.training.model_card import (
    accuracy_rows,
    format_model_card,
    make_model_card,
    write_evaluation,
)
from keras_dynamonet.training.scores import Accuracy
from keras_dynamonet.training.trained_model import load_trained_model


@pytest.fixture
def result():
    return EvaluationResult(
        class_names=["down", "left", "right"],
        protocol=Protocol(num_clips=3),
        classification=Classification(
            clip_accuracy=Accuracy(5, 9),
            video_accuracy=Accuracy(2, 3),
            top5_accuracy=Accuracy(3, 3),
            per_class=[Accuracy(1, 1), Accuracy(1, 2), None],
            confusion=np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]]),
        ),
        frame_quality=FrameQuality(2, None, FrameBounds(20.0, 21.5, 23.0)),
        data_fingerprint="f00d",
        video_paths=["down/a b.mp4", "left/a.mp4", "left/b.mp4", "x/unknown.mp4"],
        labels=np.array([0, 1, 1, -1]),
        probabilities=np.array(
            [[0.8, 0.1, 0.1], [0.6, 0.4, 0.0], [0.1, 0.9, 0.0], [0.2, 0.2, 0.6]]
        ),
        bad_files={"c.mp4": "the file is empty"},
        too_short={"d.mp4": "lasts 0.1 s, a clip needs 1.4 s"},
        trained_on=1,
    )


@pytest.fixture
def card(trained_run, result):
    return make_model_card(load_trained_model(trained_run.run.path), result, "videos")


def test_card_names_model_training_and_evaluation(card, trained_run):
    assert card["model"]["class_names"] == ["down", "left", "right"]
    assert card["model"]["observed_frames"] == 4
    assert len(card["model"]["sha256"]) == 64
    assert card["training"]["settings"]["epochs"] == 2
    assert card["training"]["state"]["best_epoch"] == trained_run.best_epoch
    assert card["evaluation"]["data"] == "videos"
    assert card["evaluation"]["video_accuracy"]["correct"] == 2
    assert card["evaluation"]["command"]
    json.dumps(card)


def test_markdown_states_everything(card):
    text = format_model_card(card)
    assert "# Model card: best.keras" in text
    assert "- Clips: 4 observed frames of 16 x 16 pixels, 12 frames a second" in text
    assert "- Motion filters: 3 x 3 pixels, solved" in text
    assert "12 videos (12 with a label), fingerprint" in text
    assert "epochs 2, batch_size 4, optimizer adamw, learning_rate 0.001" in text
    judged = "4 videos, 1 of which it was trained on, 1 more could not be read, 1 more"
    assert f"{judged} are shorter than a clip, fingerprint `f00d`" in text
    assert text.count(", Python 3.") == 2 and text.count(" keras 3.") == 2
    assert "- Protocol: mean softmax of 3 clips x 1 crops a video" in text
    assert "| videos | 66.7 % | 20.8 to 93.9 % | 2 of 3 |" in text
    assert "| right | no videos | | |" in text
    assert "| unseen | 20.00 | 21.50 | 23.00 |" in text
    assert "observed |" not in text.split("## Evaluation")[1]


def test_a_ceiling_that_was_not_measured_is_left_out(trained_run, result):
    bounds = FrameBounds(20.0, 21.5)
    result = dataclasses.replace(result, frame_quality=FrameQuality(2, None, bounds))
    trained = load_trained_model(trained_run.run.path)
    text = format_model_card(make_model_card(trained, result, "videos"))
    assert "| frame | copy the last (floor) | model |\n| --- | --- | --- |\n" in text
    assert "| unseen | 20.00 | 21.50 |\n" in text


def test_names_of_classes_do_not_break_the_tables(card):
    row = card["evaluation"]["per_class"].pop("left")
    card["evaluation"]["per_class"]["open|<b>\nclose"] = row
    card["model"]["class_names"][1] = "open|<b>\nclose"
    text = format_model_card(card)
    assert "- Classes: down, open\\|\\<b\\> close, right\n" in text
    assert "| open\\|\\<b\\> close | 50.0 % |" in text


def test_file_without_a_run_has_no_training(trained_run, result, tmp_path):
    path = shutil.copy(trained_run.run.best, tmp_path / "model.keras")
    card = make_model_card(load_trained_model(path, stride=3), result, "videos")
    assert card["training"] is None
    text = format_model_card(card)
    assert "## Training" not in text
    assert "one frame in 3 of the video" in text


def test_files_are_written(card, result, tmp_path):
    write_evaluation(tmp_path / "evaluation", card, result)
    written = json.loads((tmp_path / "evaluation" / "model_card.json").read_text())
    assert written == json.loads(json.dumps(card))
    assert (tmp_path / "evaluation" / "model_card.md").read_text().startswith("# Model")
    with (tmp_path / "evaluation" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == result.video_paths
    assert [row["class"] for row in rows] == ["down", "left", "left", ""]
    assert [row["predicted"] for row in rows] == ["down", "down", "left", "right"]
    assert rows[0]["down"] == "0.800000"


def test_top_five_of_five_and_clips_of_one_are_not_worth_a_row(card):
    found = card["evaluation"]
    assert [name for name, _ in accuracy_rows(found)] == ["videos", "single clips"]
    found["class_names"] = list("abcdef")
    found["clip_accuracy"] = found["video_accuracy"]
    assert [name for name, _ in accuracy_rows(found)] == ["videos", "videos, top 5"]
