import argparse
import re

import pytest

from keras_dynamonet.cli.argument_types import at_least, local_path, positive, share


def test_values_are_read():
    assert (at_least(0)("0"), at_least(1)("16")) == (0, 16)
    assert (positive("1e-3"), share("0"), share("1")) == (0.001, 0.0, 1.0)
    assert local_path("a b/c") == "a b/c"


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (at_least(1), "0", "must be a whole number, at least 1. Received: 0."),
        (at_least(0), "-1", "at least 0. Received: -1."),
        (at_least(1), "2.5", "at least 1. Received: 2.5."),
        (positive, "0", "must be positive. Received: 0."),
        (positive, "inf", "must be positive. Received: inf."),
        (positive, "fast", "must be positive. Received: fast."),
        (share, "1.5", "must lie in [0, 1]. Received: 1.5."),
        (share, "nan", "must lie in [0, 1]. Received: nan."),
        (local_path, "s3://bucket/run", "s3://bucket/run: is an address; results"),
        (local_path, "file:///run", "file:///run: is an address; results"),
    ],
)
def test_others_are_refused(read, text, message):
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(message)):
        read(text)
