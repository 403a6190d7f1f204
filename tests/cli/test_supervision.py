import signal
import sys

import pytest

from keras_dynamonet.cli.supervision import leave_at_once, supervise


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("pass", 0, ""),
        ("raise SystemExit(2)", 2, ""),
        ("import os; os.abort()", 1, "another process of the run was lost"),
        ("import os; os.kill(os.getpid(), 9)", 1, "ended by SIGKILL"),
    ],
)
def test_the_parent_says_how_the_child_ended(code, status, said, capsys):
    assert supervise([sys.executable, "-c", code]) == status
    assert said in capsys.readouterr().err


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    supervise([sys.executable, "-c", "pass"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_nothing_happens_where_nothing_goes_wrong():
    with leave_at_once():
        done = True
    assert done
