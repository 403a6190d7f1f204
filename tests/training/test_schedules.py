import keras
import numpy as np
import pytest

from keras_dynamonet.training.schedules import WarmupCosine


def rates(schedule, steps):
    return np.array([float(schedule(step)) for step in range(steps)])


def test_rises_linearly_and_falls_as_a_cosine():
    found = rates(WarmupCosine(2.0, 11, warmup_steps=4, final_share=0.1), 12)
    np.testing.assert_allclose(found[:4], [0.5, 1.0, 1.5, 2.0], rtol=1e-6)
    progress = np.arange(7) / 6
    cosine = 0.5 * (1 + np.cos(np.pi * progress))
    np.testing.assert_allclose(found[4:11], 2 * (0.1 + 0.9 * cosine), rtol=1e-5)
    assert found[11] == pytest.approx(0.2)


def test_without_warm_up_it_starts_at_the_peak():
    found = rates(WarmupCosine(1.0, 3), 4)
    np.testing.assert_allclose(found, [1.0, 0.5, 0.0, 0.0], atol=1e-6)


def test_warm_up_alone():
    np.testing.assert_allclose(rates(WarmupCosine(1.0, 2, warmup_steps=2), 2), [0.5, 1])


def test_a_single_step():
    assert rates(WarmupCosine(1.0, 1), 1) == [1.0]


def test_config_round_trip():
    schedule = WarmupCosine(0.3, 20, warmup_steps=5, final_share=0.2)
    config = keras.saving.serialize_keras_object(schedule)
    copy = keras.saving.deserialize_keras_object(config)
    np.testing.assert_array_equal(rates(schedule, 22), rates(copy, 22))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"peak": 0.0, "total_steps": 1}, "`peak` must be positive. Received: peak=0"),
        ({"peak": 1.0, "total_steps": 0}, "total_steps=0"),
        ({"peak": 1.0, "total_steps": 2, "warmup_steps": 3}, "`warmup_steps` must lie"),
        ({"peak": 1.0, "total_steps": 2, "final_share": 2.0}, "`final_share` must lie"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        WarmupCosine(**arguments)
