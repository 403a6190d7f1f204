"""Settings and shared fixtures of the whole test suite."""

import importlib.util
import logging
import os
import sys

import pytest

# First of all: it chooses kernels of TensorFlow, which some tests import before it.
import keras_dynamonet  # noqa: F401

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

_EXIT_STATUS = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Fails where tests on PyTorch must run (`REQUIRE_TORCH=1`) but could not."""
    required = os.environ.get("REQUIRE_TORCH") == "1"
    if required and importlib.util.find_spec("torch") is None:
        raise pytest.UsageError(
            "REQUIRE_TORCH=1, but PyTorch is not installed: its tests would be "
            "skipped. Install a CPU build of torch or unset REQUIRE_TORCH."
        )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remembers how the tests ended."""
    session.config.stash[_EXIT_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends with that status where tensorflow-io would abort the process."""
    if "tensorflow_io" in sys.modules:
        from keras_dynamonet.cli.leaving import leave

        leave(config.stash.get(_EXIT_STATUS, 1))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Makes fixtures draw the same random numbers in every run."""
    _seed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Makes the test do so too, whether or not its fixtures were there before."""
    _seed()


def _seed() -> None:
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def messages_are_seen():
    """Programs keep the library's messages to themselves: not beyond their test."""
    yield
    package = logging.getLogger("keras_dynamonet")
    package.handlers, package.propagate = [], True
    package.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def action_videos(tmp_path_factory):
    """A folder of moving squares: `{train,validation,test}/{down,left,right}/k.mp4`."""
    from tests.action_videos import write_action_videos

    folder = tmp_path_factory.mktemp("action_videos")
    for split, videos in (("train", 4), ("validation", 2), ("test", 2)):
        write_action_videos(folder / split, videos=videos)
    return folder


@pytest.fixture(scope="session")
def trained_run(action_videos, tmp_path_factory):
    """The result of a finished run of two epochs of three steps; do not change it."""
    from keras_dynamonet.training.trainer import train
    from tests.tiny_runs import tiny_config

    run_dir = tmp_path_factory.mktemp("runs") / "trained"
    return train(tiny_config(action_videos, run_dir, checkpoint_steps=2))


@pytest.fixture(scope="module")
def service():
    """The address of a tf.data service with two workers, in this process."""
    import tensorflow as tf

    servers = tf.data.experimental.service
    dispatcher = servers.DispatchServer()
    address = dispatcher.target.partition("://")[2]
    workers = [
        servers.WorkerServer(servers.WorkerConfig(dispatcher_address=address))
        for _ in range(2)
    ]
    yield dispatcher.target
    del workers
