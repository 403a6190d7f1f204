import json

import pytest

from tests.fresh_process import run_python


def train_runs(*runs, task, data, folder):
    """What each of these runs left, see `mirrored_worker`; histories are comparable."""
    printed = run_python(
        "-m", "tests.training.mirrored_worker", data, folder, task, *runs
    )
    found = json.loads(printed.splitlines()[-1])
    for run in found.values():
        for row in run["history"]:
            del row["clips_per_second"]
            row.pop("data_wait_share", None)
    return [found[run] for run in runs]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["actions", "frames"])
def test_two_devices_train_as_one_does(task, action_videos, tmp_path):
    """Synchronised, two devices give the losses and metrics of one, validation too."""
    one, two = train_runs("1", "2", task=task, data=action_videos, folder=tmp_path)
    described = two["distribution"]
    assert (described["devices"], described["clips_a_device"]) == (2, 2)
    assert described["batch_norm_over"] == "all clips of a step"
    assert two["history"][0] == pytest.approx(one["history"][0], rel=1e-3)


@pytest.mark.slow
def test_stopped_on_two_devices_goes_on_with_two_or_one(action_videos, tmp_path):
    whole, *resumed = train_runs(
        *("2", "2,2", "2,1"), task="actions", data=action_videos, folder=tmp_path
    )
    for run, devices in zip(resumed, (2, 1), strict=True):
        assert run["distribution"]["devices"] == 2
        [resumption] = run["resumed"]
        assert resumption["step"] == 2
        assert resumption["distribution"]["devices"] == devices
        assert run["history"][0] == pytest.approx(whole["history"][0], rel=1e-3)
