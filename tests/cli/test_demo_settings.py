import dataclasses

import pytest

from keras_dynamonet.cli.demo_settings import (
    QUICK,
    DemoFolder,
    DemoSettings,
    opposite_pairs,
)
from keras_dynamonet.data.mocap.classes import DEMO_CLASSES
from keras_dynamonet.errors import UserError


def test_the_middle_clip_of_a_reversed_video_is_the_reversed_middle_clip():
    for settings in (DemoSettings(), QUICK):
        frames = list(range(settings.video_frames))
        start = (settings.video_frames - settings.num_frames - 1) // 2
        middle = frames[start : start + settings.num_frames + 1]
        backwards = frames[::-1][start : start + settings.num_frames + 1]
        assert backwards == middle[::-1]
    with pytest.raises(ValueError, match="`video_frames` must be"):
        DemoSettings(video_frames=20)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "`--epochs` must be at least 1"),
        ({"train_clips": 0}, "`--clips-per-class` must be at least 1"),
        ({"seed": -1}, "`--seed` must not be negative"),
    ],
)
def test_bad_numbers_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        DemoSettings(**arguments)


def test_every_demo_class_has_an_opposite():
    pairs = opposite_pairs(DEMO_CLASSES)
    assert sorted(index for pair in pairs for index in pair) == list(range(8))
    for forwards, backwards in pairs:
        assert DEMO_CLASSES[backwards] == DEMO_CLASSES[forwards] + "_reversed"
    assert opposite_pairs(("walk", "kick")) == []


def test_a_folder_is_taken_over_only_with_the_same_settings(tmp_path):
    folder = DemoFolder(tmp_path / "demo")
    folder.open(QUICK, overwrite=False)
    folder.write_progress(QUICK, {"render": 2.5}, 1.5)
    folder.open(QUICK, overwrite=False)
    progress = folder.read_json(folder.settings)
    assert progress["stage_seconds"] == {"render": 2.5}
    assert progress["peak_rss_gib"] == 1.5
    other = dataclasses.replace(QUICK, seed=5, epochs=3)
    with pytest.raises(UserError, match=r"other settings \(seed, epochs\)"):
        folder.open(other, overwrite=False)
    for name in ("videos", "training"):
        (folder.path / name).mkdir()
    for name in ("best.keras", "summary.json", "notes.txt"):
        (folder.path / name).write_text("")
    folder.open(other, overwrite=True)
    assert {path.name for path in folder.path.iterdir()} == {"demo.json", "notes.txt"}
    assert folder.read_json(folder.settings)["stage_seconds"] == {}


def test_other_peoples_files_are_never_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="not the demo's"):
            DemoFolder(tmp_path).open(QUICK, overwrite=overwrite)
    assert (tmp_path / "thesis.tex").exists()
    (tmp_path / "videos").mkdir()
    (tmp_path / "demo.json").write_text('{"slides": 12}')
    with pytest.raises(UserError, match="not the demo's"):
        DemoFolder(tmp_path).open(QUICK, overwrite=True)
    assert (tmp_path / "videos").exists()
    with pytest.raises(UserError, match="is a file"):
        DemoFolder(tmp_path / "thesis.tex").open(QUICK, overwrite=False)


def test_a_broken_file_is_named(tmp_path):
    folder = DemoFolder(tmp_path)
    folder.settings.write_text("{")
    with pytest.raises(UserError, match=r"demo\.json: cannot be read"):
        folder.open(QUICK, overwrite=False)
    # Nobody knows whose it is, but for the run of a demo beside it.
    with pytest.raises(UserError, match="not the demo's"):
        folder.open(QUICK, overwrite=True)
    folder.training.mkdir()
    (folder.training / "config.json").touch()
    folder.open(QUICK, overwrite=True)
    assert not folder.training.exists()
