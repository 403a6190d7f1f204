from pathlib import Path

import pytest

import keras_dynamonet
from keras_dynamonet.data.pipeline import num_workers
from keras_dynamonet.machine import count_cpus


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A function that writes the files of the control groups; none stand there yet."""

    def write(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    monkeypatch.setattr("keras_dynamonet.machine.CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr("keras_dynamonet.machine.OWN_CONTROL_GROUPS", tmp_path / "own")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    return write


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, 64),
        ({"own": "0::/\n", "cpu.max": "200000 100000\n"}, 2),
        ({"own": "0::/\n", "cpu.max": "250000 100000\n"}, 3),
        ({"own": "0::/\n", "cpu.max": "50000 100000\n"}, 1),
        ({"own": "0::/\n", "cpu.max": "6500000 100000\n"}, 64),
        ({"own": "0::/\n", "cpu.max": "max 100000\n"}, 64),
        ({"own": "\n?\n0::/\n", "cpu.max": "much\n"}, 64),
        ({"own": "0::/\n", "cpu.max": "much more\n"}, 64),
        # A service's own quota, and that of the slice around it.
        ({"own": "0::/a/b\n", "a/b/cpu.max": "400000 100000\n"}, 4),
        (
            {
                "own": "0::/a/b\n",
                "a/b/cpu.max": "max 100000\n",
                "a/cpu.max": "500000 100000\n",
            },
            5,
        ),
        # The first version, with the group's name outside the container.
        (
            {
                "own": "3:memory:/x\n2:cpu,cpuacct:/x:y\n0::/\n",
                "cpu/cpu.cfs_quota_us": "300000\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
        (
            {
                "own": "2:cpu:/\n",
                "cpu/cpu.cfs_quota_us": "-1\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            },
            64,
        ),
    ],
)
def test_cpus_are_no_more_than_the_quota_of_a_container(groups, files, cpus):
    groups(files)
    assert count_cpus() == cpus


def test_cpus_are_those_that_this_process_may_use(groups, monkeypatch):
    """As `taskset` and cluster managers share them out, whatever the machine has."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {1, 4, 9}, raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert count_cpus() == num_workers(None) == 3


def test_where_nobody_shares_them_out_all_count(groups, monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert count_cpus() == 64 and num_workers(None) == 16


def test_cpus_are_counted_in_one_place():
    package = Path(keras_dynamonet.__file__).parent
    counting = [f.name for f in package.rglob("*.py") if "cpu_count" in f.read_text()]
    assert counting == ["machine.py"]
