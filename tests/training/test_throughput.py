import re
from types import SimpleNamespace

import pytest

from keras_dynamonet.data.manifest import Manifest
from keras_dynamonet.training.throughput import Throughput, waiting_advice


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test sets itself."""
    clock = SimpleNamespace(now=0.0, seconds=0.0)
    monkeypatch.setattr("time.perf_counter", lambda: clock.now)
    return clock


def step(callback, clock, batch, *, seconds, waited=0.0):
    clock.now += seconds
    clock.seconds += waited
    logs = {}
    callback.on_train_batch_end(batch, logs)
    return logs


def test_first_step_of_the_process_does_not_count(clock):
    callback = Throughput(clock, batch_size=10)
    callback.on_epoch_begin(0)
    step(callback, clock, 0, seconds=100.0)
    logs = step(callback, clock, 1, seconds=2.0, waited=0.5)
    assert logs == {"clips_per_second": 5.0, "data_wait_share": 0.25}
    step(callback, clock, 2, seconds=2.0, waited=1.5)
    epoch = {}
    callback.on_epoch_end(0, epoch)
    assert epoch == {"clips_per_second": 5.0, "data_wait_share": 0.5}


def test_later_epochs_count_every_step(clock):
    callback = Throughput(clock, batch_size=10)
    callback.on_epoch_begin(0)
    step(callback, clock, 0, seconds=100.0)
    callback.on_epoch_begin(1)
    step(callback, clock, 0, seconds=2.0)
    logs = {}
    callback.on_epoch_end(1, logs)
    assert logs["clips_per_second"] == 5.0


def test_an_epoch_of_one_step_counts_it(clock):
    callback = Throughput(clock, batch_size=10)
    callback.on_epoch_begin(0)
    step(callback, clock, 0, seconds=2.0)
    logs = {}
    callback.on_epoch_end(0, logs)
    assert logs["clips_per_second"] == 5.0


def test_during_an_epoch_the_last_seconds_count(clock):
    callback = Throughput(clock, batch_size=1, window_seconds=3.0)
    callback.on_epoch_begin(0)
    step(callback, clock, 0, seconds=1.0)
    for batch in range(1, 10):
        step(callback, clock, batch, seconds=1.0)
    for batch in range(10, 20):
        logs = step(callback, clock, batch, seconds=0.1)
    assert logs["clips_per_second"] == pytest.approx(12 / 3.0, rel=0.35)
    epoch = {}
    callback.on_epoch_end(0, epoch)
    assert epoch["clips_per_second"] == pytest.approx(19 / 10.0)


def test_an_epoch_of_an_earlier_process_gets_no_speed(clock):
    logs = {"loss": 1.0}
    Throughput(clock, batch_size=1).on_epoch_end(0, logs)
    assert logs == {"loss": 1.0}


@pytest.mark.parametrize(("waited", "times"), [(0.1, 0), (0.5, 1)])
def test_waiting_for_data_is_told_once(clock, caplog, waited, times):
    callback = Throughput(clock, batch_size=10, advice=lambda: "videos: pack them")
    for epoch in range(2):
        callback.on_epoch_begin(epoch)
        for batch in range(3):
            step(callback, clock, batch, seconds=1.0, waited=waited)
        callback.on_epoch_end(epoch, {})
    told = "waits 50 % of the time for videos: pack them"
    assert caplog.text.count(told) == times == len(caplog.records)


VIDEO, PACKED = "a.mp4", "shard-0.tfrecord#0/a.mp4"


@pytest.mark.parametrize(
    ("root", "paths", "service", "told"),
    [
        ("videos", (VIDEO,), None, "videos: decoding .* or pack the videos"),
        ("both", (PACKED, VIDEO), None, "videos: decoding"),
        ("packed", (PACKED,), None, "packed shards: .* the 112 pixels .* faster disk"),
        ("s3://bucket", (PACKED,), None, "packed shards: .* copy them to this machine"),
        (
            "packed",
            (PACKED,),
            "grpc://a:1",
            "service: grpc://a:1 .* more workers",
        ),
    ],
)
def test_the_advice_fits_the_data(root, paths, service, told):
    manifest = Manifest(root, paths, [-1] * len(paths))
    advice = waiting_advice(manifest, 112, service)
    assert re.search(told, advice)
    assert ("decoding" in advice) == (VIDEO in paths)
