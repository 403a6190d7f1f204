import pytest

from keras_dynamonet.data.label_mix import LabelMix


@pytest.mark.parametrize("share", [0.25, 1 / 3, 0.5, 0.9])
def test_every_number_of_both_streams_comes_once_and_evenly(share):
    mix = LabelMix([0, *[-1] * 99], share)
    turns = [mix.turn(sample) for sample in range(3000)]
    numbers = [[number for group, number in turns if group == g] for g in (0, 1)]
    for stream in numbers:
        assert stream == list(range(len(stream)))
    seen = 0
    for sample, (group, _) in enumerate(turns):
        seen += group
        assert abs(seen - share * (sample + 1)) <= 1


def test_both_kinds_come_however_near_to_one_the_share():
    mix = LabelMix([0, *[-1] * 9], 1 - 1e-9)
    groups = [mix.turn(sample)[0] for sample in (0, 1, 10**6 - 1)]
    assert groups == [0, 1, 1]


@pytest.mark.parametrize(
    ("labels", "share"),
    [([-1, -1, -1], 0.5), ([0, 1, 0], 0.5), ([0, -1, -1], 1 / 3), ([0, -1], 0.0)],
)
def test_videos_stay_together_where_there_are_labels_enough_or_none(labels, share):
    mix = LabelMix(labels, share)
    assert not mix.mixed
    assert list(mix.groups[0]) == list(range(len(labels)))
    assert [mix.turn(sample) for sample in (0, 7)] == [(0, 0), (0, 7)]


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_shares_out_of_range_are_refused(share):
    with pytest.raises(ValueError, match="`labelled_share` must lie in"):
        LabelMix([0, -1], share)
