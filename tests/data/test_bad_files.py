import logging

import pytest

from keras_dynamonet.data.bad_files import BadFileLog, BadShare
from keras_dynamonet.data.video_file import VideoError, VideoTooShortError
from keras_dynamonet.errors import UserError


def filled_log() -> BadFileLog:
    log = BadFileLog()
    for path in ("b.mp4", "a.mp4", "b.mp4"):
        log.record(VideoError(path, f"reason of {path}"))
    log.record(VideoTooShortError("c.mp4", "lasts 0.1 s"))
    return log


def test_first_failure_is_logged_and_later_ones_counted(caplog):
    with caplog.at_level(logging.WARNING):
        log = filled_log()
    assert caplog.messages == [
        "Bad video: b.mp4: reason of b.mp4.",
        "Bad video: a.mp4: reason of a.mp4.",
        "Short video: c.mp4: lasts 0.1 s.",
    ]
    assert len(log) == 2
    assert log.reasons == {"a.mp4": "reason of a.mp4", "b.mp4": "reason of b.mp4"}
    assert log.too_short == {"c.mp4": "lasts 0.1 s"}
    assert log.as_dict() == {
        "bad": [
            {"path": "a.mp4", "reason": "reason of a.mp4", "count": 1},
            {"path": "b.mp4", "reason": "reason of b.mp4", "count": 2},
        ],
        "too_short": [{"path": "c.mp4", "reason": "lasts 0.1 s", "count": 1}],
    }


def test_summary_lists_every_bad_file():
    assert BadFileLog().summary() == ""
    assert filled_log().summary().splitlines() == [
        "2 videos could not be read:",
        "  a.mp4: reason of a.mp4",
        "  b.mp4: reason of b.mp4",
    ]
    assert filled_log().summary(most=1).splitlines()[1:] == [
        "  a.mp4: reason of a.mp4",
        "  and 1 more",
    ]


def test_share_counts_each_bad_video_once():
    for tolerated in (0.49, 0.5):
        share = BadShare(4, tolerated)
        for _ in range(3):
            share.add(2, VideoError("a.mp4", "damaged"))
            share.check()  # one bad video never stops anything
        share.add(0, VideoError("b.mp4", "empty"))
        if tolerated == 0.5:
            share.check()
            continue
        with pytest.raises(UserError, match=r"2 of 4 videos .* 49% .first: a.mp4: dam"):
            share.check()


def test_first_failure_is_raised_again():
    log = BadFileLog()
    log.raise_if_failed()
    log.fail(UserError("first"))
    log.fail(UserError("second"))
    with pytest.raises(UserError, match="^first$"):
        log.raise_if_failed()
