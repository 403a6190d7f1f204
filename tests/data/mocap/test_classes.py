import re

import pytest

from keras_dynamonet.data.mocap.classes import (
    DEMO_CLASSES,
    TRACKS,
    motion_of,
    select_classes,
)
from keras_dynamonet.errors import UserError


def test_sizes_of_the_tracks():
    assert {track: len(names) for track, names in TRACKS.items()} == {
        "native": 15,
        "time": 20,
        "all": 25,
    }
    assert set(TRACKS["all"]) == set(TRACKS["native"]) | set(TRACKS["time"])


@pytest.mark.parametrize("names", [TRACKS["time"], DEMO_CLASSES])
def test_time_classes_come_in_pairs(names):
    forwards = {motion for motion, backwards in map(motion_of, names) if not backwards}
    reverse = {motion for motion, backwards in map(motion_of, names) if backwards}
    assert forwards == reverse
    assert len(names) == 2 * len(forwards)


def test_selection_keeps_the_order_asked_for():
    assert select_classes("native", None) == list(TRACKS["native"])
    assert select_classes("time", ["run", "walk"]) == ["run", "walk"]


@pytest.mark.parametrize(
    ("track", "classes", "message"),
    [
        ("space", None, "`track` must be one of ['native', 'time', 'all']"),
        ("time", ["punch"], "Track 'time' has no class 'punch'. Choose among walk,"),
        ("time", ["run", "run"], "`classes` must name at least one class, each once"),
        ("time", [], "`classes` must name at least one class, each once"),
    ],
)
def test_rejects_bad_choices(track, classes, message):
    with pytest.raises(UserError, match=re.escape(message)):
        select_classes(track, classes)
