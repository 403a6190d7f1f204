"""Ray is no part of the extra `test`: it installs half a gigabyte."""

import importlib.util
import os
import signal
import sys

import pytest

from keras_dynamonet.bulk.job import BulkJob
from keras_dynamonet.bulk.ray_engine import count_workers, reason, run_on_ray
from keras_dynamonet.bulk.run import run_bulk
from keras_dynamonet.data.manifest import load_manifest
from keras_dynamonet.errors import MissingExtraError, UserError
from tests.action_videos import write_action_videos

pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = write_action_videos(tmp_path_factory.mktemp("many"), videos=12)
    (folder / "left" / "broken.mp4").write_bytes(b"not a video")
    return load_manifest(folder, labelled=False)


@pytest.fixture
def job(trained_run):
    return BulkJob(model=str(trained_run.run.path), part_size=2, batch_size=2)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed"
)
def test_a_killed_worker_loses_and_doubles_nothing(job, manifest, tmp_path):
    killed = []

    def kill_the_first_worker(part):
        if not killed:
            killed.append(int(part.worker.split(":")[1]))
            os.kill(killed[0], signal.SIGKILL)

    ray_out, local_out = tmp_path / "ray", tmp_path / "local"
    summary = run_bulk(
        job,
        manifest,
        ray_out,
        engine="ray",
        workers=2,
        on_part=kill_the_first_worker,
    )
    assert killed and summary.workers >= 2
    assert (summary.videos, summary.bad, summary.parts) == (37, 1, 19)
    run_bulk(job, manifest, local_out)
    assert pq.read_table(ray_out).equals(pq.read_table(local_out))


def test_ray_is_an_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    job = BulkJob(model="not asked for", part_size=2, batch_size=2)
    with pytest.raises(MissingExtraError, match=r"keras-dynamonet\[ray\]"):
        next(run_on_ray(job, tmp_path, [], workers=1, threads=1))


def test_workers_follow_the_cluster():
    assert count_workers({"CPU": 5.0}, None, threads=2) == 2
    assert count_workers({"CPU": 16.0, "GPU": 3.0}, None, threads=1) == 3
    assert count_workers({"CPU": 16.0}, 4, threads=4) == 4
    with pytest.raises(UserError, match="room for 2 workers of 2 threads, not for 3"):
        count_workers({"CPU": 4.0}, 3, threads=2)
    with pytest.raises(UserError, match="room for 0 workers of 8 threads, not for 1"):
        count_workers({"CPU": 4.0}, None, threads=8)


def test_the_reason_of_a_failed_worker_is_our_own_message():
    died = RuntimeError(
        "The actor died.\nTraceback (most recent call last):\n"
        "keras_dynamonet.errors.UserError: run/best.keras: cannot be loaded.\n\n"
    )
    outer = RuntimeError("")
    outer.__cause__ = died
    assert reason(outer) == "run/best.keras: cannot be loaded."
    assert reason(ValueError("one\ntwo")) == "two"
    assert reason(RuntimeError("")) == "a Ray worker failed without a message."
