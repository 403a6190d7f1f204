import json

import pytest

from tests.fresh_process import run_python


@pytest.mark.slow
@pytest.mark.parametrize("task", ["actions", "frames"])
def test_two_devices_train_as_one_does(task, action_videos, tmp_path):
    """Synchronised, two devices give the losses and metrics of one, validation too."""
    printed = run_python(
        "-m", "tests.training.mirrored_worker", action_videos, tmp_path, task
    )
    found = json.loads(printed.splitlines()[-1])
    described = found["2"]["described"]
    assert (described["devices"], described["clips_a_device"]) == (2, 2)
    assert described["batch_norm_over"] == "all clips of a step"
    [one], [two] = (found[devices]["history"] for devices in ("1", "2"))
    for row in (one, two):
        del row["clips_per_second"]
        row.pop("data_wait_share", None)
    assert two == pytest.approx(one, rel=1e-3)
