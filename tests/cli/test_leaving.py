import subprocess
import sys

import pytest

PROGRAM = """
import atexit, os, sys, types
from keras_dynamonet.cli.leaving import leave
if {loaded}:
    sys.modules["tensorflow_io"] = types.ModuleType("tensorflow_io")
    # What its file systems do to a process that ends in the usual way.
    class Abort:
        def __del__(self):
            os.abort()
    kept = Abort()
atexit.register(print, "cleared up")
leave(3)
"""


@pytest.mark.parametrize("loaded", [True, False])
def test_the_status_stays_as_it_is(loaded):
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(loaded=loaded)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout) == (3, "cleared up\n"), ended.stderr
