import csv
import json

import pytest

from keras_dynamonet.data.manifest import Manifest, load_manifest
from keras_dynamonet.errors import UserError
from keras_dynamonet.training.config import TrainConfig
from keras_dynamonet.training.run_directory import RunDirectory, describe_environment


@pytest.fixture
def earlier(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.start()
    TrainConfig(data="videos", run_dir=str(run.path)).save(run.config)
    run.best.write_text("weights")
    return run


def test_start_makes_missing_folders(tmp_path):
    RunDirectory(tmp_path / "a" / "b").start()
    assert (tmp_path / "a" / "b").is_dir()


def test_an_empty_folder_is_free(tmp_path):
    RunDirectory(tmp_path).check_free()


def test_an_earlier_run_is_kept_unless_asked(earlier):
    with pytest.raises(UserError, match="holds a run already. Go on with --resume"):
        earlier.check_free()
    earlier.check_free(overwrite=True)
    earlier.start()
    assert list(earlier.path.iterdir()) == []


def test_what_no_run_writes_outlives_the_run(earlier, caplog):
    """Notes and exports may have cost more than the run."""
    earlier.evaluation.mkdir()
    (earlier.path / ".last.1.partial.keras").write_text("half")
    (earlier.path / "export").mkdir()
    (earlier.path / "notes.txt").write_text("")
    earlier.start()
    names = sorted(path.name for path in earlier.path.iterdir())
    assert names == ["export", "notes.txt"]
    assert "kept what is not the run's" in caplog.text
    assert caplog.text.strip().endswith("export, notes.txt")


def test_the_config_of_another_program_makes_no_run(tmp_path):
    (tmp_path / "config.json").write_text('{"theme": "dark"}')
    with pytest.raises(UserError, match="holds files that are not a run's"):
        RunDirectory(tmp_path).start()
    assert (tmp_path / "config.json").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_files_are_never_deleted(tmp_path, overwrite):
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(UserError, match="holds files that are not a run's"):
        RunDirectory(tmp_path).check_free(overwrite=overwrite)
    with pytest.raises(UserError, match="holds files that are not a run's"):
        RunDirectory(tmp_path).start()
    assert (tmp_path / "thesis.txt").exists()


def test_a_file_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match="is a file; a run needs a folder"):
        RunDirectory(tmp_path / "run").check_free()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        RunDirectory(tmp_path / "file" / "run").start()


def test_the_list_of_videos_is_data_for_an_evaluation(earlier, tmp_path):
    paths = ("walk/a, b.mp4", "run/c.mp4", "x.mp4")
    names = ("run", "walk")
    train = Manifest(tmp_path, paths, [1, 0, -1], names)
    assert earlier.trained_on() is None
    earlier.add_resumption(3, {})
    assert not earlier.environment.exists()
    earlier.write_videos({"train": train, "validation": train.subset([1])})
    assert earlier.trained_on() == {str(tmp_path / path) for path in paths}
    read = load_manifest(earlier.videos, split="train", allow_missing=True)
    assert [read.path(i) for i in range(3)] == [str(tmp_path / path) for path in paths]
    assert read.labels.tolist() == [1, 0, -1] and read.class_names == names
    earlier.write_videos({"train": train, "validation": None})


def test_history_has_a_column_for_every_value(earlier):
    earlier.write_history([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "val_loss": 1.0}])
    with earlier.history.open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"epoch": "1", "loss": "2.0", "val_loss": ""},
        {"epoch": "2", "loss": "", "val_loss": "1.0"},
    ]


def test_bad_files_of_several_processes_are_added_up(earlier):
    bad = {"path": "a.mp4", "reason": "is empty", "count": 2}
    other = {"path": "b.mp4", "reason": "no video", "count": 1}
    earlier.add_bad_files({"bad": [bad], "too_short": []})
    earlier.add_bad_files({"bad": [other, bad], "too_short": []})
    assert json.loads(earlier.bad_files.read_text()) == {
        "bad": [{**bad, "count": 4}, other],
        "too_short": [],
    }


def test_environment_names_command_and_versions(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/bin/dynamonet", "train", "my videos"])
    found = describe_environment()
    assert found["command"] == "dynamonet train 'my videos'"
    assert found["versions"]["keras"]
    json.dumps(found)
