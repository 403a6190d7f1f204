import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.errors import UserError
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.training_data import (
    clip_spec,
    hold_out,
    load_evaluation_data,
    load_training_data,
)
from keras_dynamonet.training.validation_data import validation_dataset


def manifest_of(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    paths = tuple(f"{k}.mp4" for k in range(len(labels)))
    names = tuple(f"class{k}" for k in range(len(counts)))
    return Manifest(Path("videos"), paths, labels, names)


def test_a_share_of_each_class_is_held_out():
    manifest = manifest_of([10, 20, 1])
    left, held_out = hold_out(manifest, 0.2)
    assert np.bincount(held_out.labels).tolist() == [2, 4]
    assert np.bincount(left.labels).tolist() == [8, 16, 1]
    assert set(left.paths) | set(held_out.paths) == set(manifest.paths)


def test_held_out_videos_do_not_depend_on_the_others():
    few, many = manifest_of([10]), manifest_of([40])
    held_out_of_many = set(hold_out(many, 0.5)[1].paths)
    held_out_of_few = set(hold_out(few, 0.5)[1].paths)
    assert len(held_out_of_few & held_out_of_many) >= 3
    assert hold_out(few, 0.5)[1].paths == hold_out(few, 0.5)[1].paths


def test_no_share_holds_nothing_out():
    left, held_out = hold_out(manifest_of([3]), 0.0)
    assert (len(left), len(held_out)) == (3, 0)


def test_splits_of_the_data_are_used(action_videos):
    data = load_training_data(TrainConfig(data=str(action_videos)))
    assert (len(data.train), len(data.validation)) == (12, 6)
    assert data.class_names == ["down", "left", "right"]


def test_without_splits_a_share_is_held_out(action_videos):
    config = TrainConfig(data=str(action_videos / "train"), validation_share=0.25)
    data = load_training_data(config)
    assert (len(data.train), len(data.validation)) == (9, 3)


def test_validation_can_be_named(action_videos):
    config = TrainConfig(
        data=str(action_videos / "train"), validation=str(action_videos / "test")
    )
    data = load_training_data(config)
    assert (len(data.train), len(data.validation)) == (12, 6)
    assert data.validation.class_names == data.train.class_names


def test_two_lists_can_start_from_one_folder(action_videos, tmp_path):
    for split in ("train", "validation"):
        lines = [f"{split}/{k}/0.mp4,{k}\n" for k in ("down", "left", "right")]
        (tmp_path / f"{split}.csv").write_text("".join(lines))
    config = TrainConfig(
        data=str(tmp_path / "train.csv"),
        validation=str(tmp_path / "validation.csv"),
        video_root=str(action_videos),
    )
    data = load_training_data(config)
    assert (len(data.train), len(data.validation)) == (3, 3)


def test_validation_can_be_left_out(action_videos, caplog):
    config = TrainConfig(data=str(action_videos / "train"), validation_share=0.0)
    assert load_training_data(config).validation is None
    assert "No videos to validate on" in caplog.text


def test_another_split_can_be_named(action_videos):
    data = load_training_data(TrainConfig(data=str(action_videos), split="test"))
    assert len(data.train) == 6
    with pytest.raises(UserError, match="has no split 'train2'"):
        load_training_data(TrainConfig(data=str(action_videos), split="train2"))


def test_unlabelled_videos_are_added(action_videos):
    config = TrainConfig(
        data=str(action_videos / "train"),
        validation_share=0.0,
        unlabelled=str(action_videos / "test" / "left"),
    )
    train = load_training_data(config).train
    assert train.labels.tolist()[12:] == [-1, -1]
    assert train.num_labelled == 12


def test_unlabelled_videos_are_no_others(action_videos, tmp_path):
    """Neither parts to judge by nor what has a label already is learnt from again."""
    config = TrainConfig(data=str(action_videos), unlabelled=str(action_videos))
    with pytest.raises(UserError, match="has no videos but those of .*--unlabelled"):
        load_training_data(config)

    labelled = [f"train/{name}/0.mp4,{name}\n" for name in ("right", "left", "down")]
    (tmp_path / "few.csv").write_text("".join(labelled))
    config = TrainConfig(
        data=str(tmp_path / "few.csv"),
        video_root=str(action_videos),
        validation=str(action_videos / "test"),
        unlabelled=str(action_videos),
    )
    train = load_training_data(config).train
    assert train.labels.tolist() == [2, 1, 0, *[-1] * 9]
    assert len(set(train.paths)) == 12
    assert all("train" in path for path in train.paths)

    # Neither do parts of DATA that the run does not use.
    rows = [f"train/{k}/0.mp4,{k},train" for k in ("right", "left", "down")]
    rows += ["train/left/1.mp4,left,test", "train/left/2.mp4,left,validation"]
    (tmp_path / "parts.csv").write_text("\n".join(rows))
    for split in (None, "test"):
        config = TrainConfig(
            data=str(tmp_path / "parts.csv"),
            split=split,
            video_root=str(action_videos),
            unlabelled=str(action_videos / "train"),
        )
        train = load_training_data(config).train
        assert np.count_nonzero(train.labels < 0) == 12 - 5

    # Of several parts to train on, the unlabelled ones are of the same.
    (tmp_path / "unlabelled" / "validation" / "left").mkdir(parents=True)
    shutil.copy(
        action_videos / "test" / "left" / "0.mp4",
        tmp_path / "unlabelled" / "validation" / "left",
    )
    config = TrainConfig(
        data=str(action_videos), unlabelled=str(tmp_path / "unlabelled")
    )
    with pytest.raises(UserError, match="no part to learn from, but validation. Name"):
        load_training_data(config)

    # Without parts, what is held out is left out, too.
    config = TrainConfig(
        data=str(action_videos / "test"),
        validation_share=0.5,
        unlabelled=str(action_videos / "test"),
    )
    with pytest.raises(UserError, match="has no videos but"):
        load_training_data(config)


def test_a_list_of_unlabelled_videos_starts_from_the_video_root(
    action_videos, tmp_path
):
    (tmp_path / "more.csv").write_text("test/left/0.mp4\ntest/down/0.mp4\n")
    config = TrainConfig(
        data=str(action_videos / "train"),
        validation_share=0.0,
        unlabelled=str(tmp_path / "more.csv"),
        video_root=str(action_videos),
    )
    assert load_training_data(config).train.labels.tolist()[12:] == [-1, -1]


def test_bad_videos_of_one_process_are_a_share_of_all(action_videos, tmp_path):
    paths = [str(path) for path in sorted(action_videos.glob("test/*/*.mp4"))]
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"garbage")
    bad = [str(tmp_path / name) for name in ("a.mp4", "b.mp4")]
    # Both of 8 go to the first of two processes.
    manifest = Manifest(Path("/"), bad + paths, [0] * 8, ("left",))
    spec = ClipSpec(num_frames=2, size=16)
    options = {"batch_size": 4, "max_bad_share": 0.3, "process_count": 2}
    weights = [
        weight
        for *_, weights in validation_dataset(manifest, spec, **options)
        for weight in weights.numpy()
    ]
    assert weights == [0, 0, 1, 1]


def test_frames_alone_ignore_labels_but_not_splits(action_videos):
    data = load_training_data(TrainConfig(data=str(action_videos), task="frames"))
    assert (len(data.train), len(data.validation)) == (12, 6)
    assert data.train.num_labelled == 0
    assert data.class_names is None


def test_actions_need_labels(action_videos):
    with pytest.raises(UserError, match="have no labels"):
        load_training_data(TrainConfig(data=str(action_videos / "test" / "left")))


def test_evaluation_prefers_the_test_split(action_videos):
    names = ["down", "left", "right"]
    manifest = load_evaluation_data(str(action_videos), class_names=names)
    assert all("test" in path for path in manifest.paths)
    everything = load_evaluation_data(str(action_videos / "test"), class_names=names)
    assert len(everything) == 6
    train = load_evaluation_data(str(action_videos), class_names=names, split="train")
    assert len(train) == 12


def test_evaluation_refuses_other_classes(action_videos):
    with pytest.raises(UserError, match="unknown class 'right'"):
        load_evaluation_data(str(action_videos), class_names=["down", "left"])


def test_evaluation_of_frames_alone_needs_no_labels(action_videos):
    manifest = load_evaluation_data(str(action_videos), class_names=None)
    assert manifest.num_labelled == 0


def test_clips_are_those_of_the_model():
    model = SimpleNamespace(frame_size=(64, 64), num_frames=16, fps=None)
    config = TrainConfig(stride=2, short_videos="hold")
    expected = ClipSpec(num_frames=16, size=64, stride=2, short_videos="hold")
    assert clip_spec(config, model) == expected


def test_frames_must_be_square():
    model = SimpleNamespace(frame_size=(64, 48), num_frames=16, fps=12.0)
    with pytest.raises(UserError, match="must be square.*size=64x48"):
        clip_spec(TrainConfig(), model)
