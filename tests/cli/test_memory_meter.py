import os
import subprocess
import sys

import numpy as np
import pytest

from keras_dynamonet.cli import memory_meter
from keras_dynamonet.cli.memory_meter import MemoryMeter, resident_bytes

linux = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")


@linux
def test_the_peak_outlives_what_caused_it():
    with MemoryMeter(interval_seconds=0.01) as meter:
        before = meter.peak_gib
        block = np.ones(2**24)  # 128 MiB
        during = meter.peak_gib
        del block
        after = meter.peak_gib
    assert during - before > 0.1
    assert after >= during


@linux
def test_children_count():
    alone = resident_bytes(os.getpid())
    code = "block = b'x' * 2**27; print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        together = resident_bytes(os.getpid())
        child.communicate(b"\n")
    assert together - alone > 2**27


def test_without_proc_there_is_no_figure(monkeypatch, tmp_path):
    monkeypatch.setattr(memory_meter, "_PROC", tmp_path)
    assert MemoryMeter().peak_gib is None
