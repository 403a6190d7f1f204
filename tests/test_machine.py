from pathlib import Path

import keras_dynamonet
from keras_dynamonet.data.pipeline import num_workers
from keras_dynamonet.machine import count_cpus


def test_cpus_are_those_that_this_process_may_use(monkeypatch):
    """As `taskset` and cluster managers share them out, whatever the machine has."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {1, 4, 9}, raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert count_cpus() == num_workers(None) == 3


def test_where_nobody_shares_them_out_all_count(monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert count_cpus() == 64 and num_workers(None) == 16


def test_cpus_are_counted_in_one_place():
    package = Path(keras_dynamonet.__file__).parent
    counting = [f.name for f in package.rglob("*.py") if "cpu_count" in f.read_text()]
    assert counting == ["machine.py"]
