import threading
import time

from keras_dynamonet.data.leave_quietly import _Calls, idle_at_exit


def test_results_and_errors_pass_through():
    assert idle_at_exit(lambda x: 2 * x, lambda _: 0)(21) == 42


def test_waits_for_calls_under_way_but_not_for_ever():
    calls = _Calls()
    calls.begin()
    threading.Timer(0.3, calls.end).start()
    began = time.monotonic()
    calls.wait_until_quiet()
    assert calls.ending and time.monotonic() - began >= 0.3
    _Calls().wait_until_quiet()
