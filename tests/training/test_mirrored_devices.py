import json

import pytest

from tests.fresh_process import run_python


@pytest.mark.long
@pytest.mark.parametrize(
    ("task", "data", "on_two"),
    [
        ("frames", "train", "2"),
        ("actions", "", "2,2"),
    ],
)
def test_two_devices_train_as_one_does(task, data, on_two, action_videos, tmp_path):
    """Synchronised, they give the losses and metrics of one, stopped or not.

    The first run validates, too.
    """
    printed = run_python(
        *("-m", "tests.training.mirrored_worker", action_videos / data, tmp_path),
        *(task, "1", on_two),
    )
    found = json.loads(printed.splitlines()[-1])
    described = found[on_two]["distribution"]
    assert (described["devices"], described["clips_a_device"]) == (2, 2)
    assert described["batch_norm_over"] == "all clips of a step"
    if on_two == "2,2":
        [resumption] = found[on_two]["resumed"]
        assert (resumption["step"], resumption["distribution"]) == (2, described)
    [one], [two] = (found[run]["history"] for run in ("1", on_two))
    for row in (one, two):
        del row["clips_per_second"]
        row.pop("data_wait_share", None)
    assert two == pytest.approx(one, rel=1e-3)
