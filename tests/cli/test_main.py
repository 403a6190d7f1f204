import importlib
import logging
import os
import subprocess
import sys

import pytest

from keras_dynamonet.cli import main as main_module
from keras_dynamonet.cli.main import PROGRAMS, main, make_parser
from keras_dynamonet.errors import UsageError, UserError
from keras_dynamonet.training.interruption import TrainingInterrupted
from keras_dynamonet.version import __version__


@pytest.fixture
def program(monkeypatch):
    """Replaces the program `scan` by one that calls a function of the test."""

    def install(function):
        class Module:
            @staticmethod
            def add_parser(subparsers):
                parser = subparsers.add_parser("scan")
                parser.set_defaults(run=function)

        monkeypatch.setattr(main_module.importlib, "import_module", lambda _: Module)

    return install


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_has_help_with_an_example(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    text = capsys.readouterr().out
    assert f"dynamonet {name}" in text
    assert "example" in text


@pytest.mark.parametrize(
    "words",
    [
        ("train", "videos", "--run"),
        ("pretrain", "videos", "--run"),
        ("demo", "--out"),
        ("evaluate", "run", "videos", "--out"),
        ("predict", "run", "a.mp4", "--out"),
        ("predict", "run", "a.mp4", "--annotate"),
        ("predict", "run", "a.mp4", "--csv"),
        ("embed", "run", "videos", "--out"),
        ("export", "run", "--out"),
        ("export", "run", "--serving"),
        ("export", "run", "--timing-cache"),
        ("compare", "run", "a.onnx", "--out"),
        ("import-weights", "a.pt", "--out"),
        ("import-weights", "a.pt", "--out", "a.keras", "--report"),
        ("pack", "videos"),
        ("mocap",),
    ],
)
def test_results_are_not_written_to_addresses(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([*words, "s3://bucket/out"])
    message = capsys.readouterr().err
    assert "s3://bucket/out: is an address; results are written to folders" in message


@pytest.mark.parametrize("name", PROGRAMS)
def test_texts_of_the_list_are_those_of_the_programs(name):
    """What `dynamonet --help` says is what the module of the program says."""
    module_name, text = PROGRAMS[name]
    module = importlib.import_module(f"keras_dynamonet.cli.{module_name}")
    said = {}

    class Subparsers:
        def __init__(self, real):
            self._real = real

        def add_parser(self, name, *, help, **kwargs):
            said[name] = help
            return self._real.add_parser(name, **kwargs)

    import argparse

    module.add_parser(Subparsers(argparse.ArgumentParser().add_subparsers()))
    assert said[name] == text


def test_help_lists_all_programs_without_heavy_imports():
    code = """
import sys
from keras_dynamonet.cli.main import main
try:
    main(["--help"])
except SystemExit:
    pass
heavy = {"tensorflow", "keras", "numpy", "av", "cv2", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for name in PROGRAMS:
        assert f"\n    {name}" in done.stdout


@pytest.mark.parametrize("name", ["train", "pretrain", "evaluate", "predict"])
def test_parsing_imports_neither_keras_nor_tensorflow(name):
    code = f"""
import sys
from keras_dynamonet.cli.main import make_parser
make_parser([{name!r}])
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"keras-dynamonet {__version__}\n"


@pytest.mark.parametrize("argv", [[], ["dance"], ["scan", "--unknown"]])
def test_bad_usage_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(argv)
    assert "usage: dynamonet" in capsys.readouterr().err


def test_status_of_the_program_is_returned(program):
    program(lambda arguments: 7)
    assert main(["scan"]) == 7


def test_users_mistake_is_one_line(program, capsys):
    def fail(arguments):
        raise UserError("a.mp4: is [empty]. Remove it.")

    program(fail)
    assert main(["scan"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "dynamonet: error: a.mp4: is [empty]. Remove it.\n"
    assert captured.out == ""


def test_bad_usage_found_by_a_program_exits_with_2(program, capsys):
    def fail(arguments):
        raise UsageError("--hop is for moments.")

    program(fail)
    assert main(["scan"]) == 2
    assert capsys.readouterr().err == "dynamonet: error: --hop is for moments.\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "/a b"), "/a b: Permission denied."),
        (OSError(28, "No space left on device"), "No space left on device."),
        (OSError("unable to lock the file"), "unable to lock the file."),
    ],
)
def test_trouble_with_files_is_one_line(program, capsys, error, line):
    def fail(arguments):
        raise error

    program(fail)
    assert main(["scan"]) == 1
    assert capsys.readouterr().err == f"dynamonet: error: {line}\n"


def test_other_errors_are_not_hidden(program):
    def fail(arguments):
        raise ZeroDivisionError

    program(fail)
    with pytest.raises(ZeroDivisionError):
        main(["scan"])


@pytest.mark.parametrize(
    ("interrupt", "message"),
    [
        (KeyboardInterrupt(), "stopped."),
        (TrainingInterrupted("Go on with: x"), "Go on with: x"),
    ],
)
def test_interruption_exits_with_130(program, capsys, interrupt, message):
    def stop(arguments):
        raise interrupt

    program(stop)
    assert main(["scan"]) == 130
    assert capsys.readouterr().err == f"dynamonet: error: {message}\n"


def test_closed_pipe_is_quiet():
    """As in `dynamonet ... | head -0`: no trace, no success."""
    code = """
import sys
from keras_dynamonet.cli import main as main_module

class Module:
    @staticmethod
    def add_parser(subparsers):
        parser = subparsers.add_parser("scan")
        parser.set_defaults(run=run)

def run(arguments):
    for _ in range(100_000):
        print("x" * 100)
    return 0

main_module.importlib.import_module = lambda _: Module
sys.exit(main_module.main(["scan"]))
"""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("closed", "model", "status"),
    [
        ({2}, "nano-16f", 0),
        pytest.param({1}, "nano-16f", 0, marks=pytest.mark.long),
        ({0, 1}, "nano-99f", 1),
        ({0, 1, 2}, "nano-16f", 0),
        pytest.param({0, 1, 2}, "nano-99f", 1, marks=pytest.mark.long),
    ],
)
def test_closed_streams_change_nothing(closed, model, status):
    """As in a service, or in `dynamonet ... >&-`."""
    program = f"{sys.executable} -m keras_dynamonet.cli.main summary {model}"
    closing = " ".join({0: "<&-", 1: ">&-", 2: "2>&-"}[stream] for stream in closed)
    done = subprocess.run(
        f"{program} {closing}", shell=True, capture_output=True, text=True
    )
    assert done.returncode == status, done.stderr
    assert ("total" in done.stdout) == (status == 0 and 1 not in closed)
    assert ("dynamonet: error" in done.stderr) == (status == 1 and 2 not in closed)
    assert "Traceback" not in done.stderr


def test_verbose_shows_details(program, capsys):
    def run(arguments):
        logging.getLogger("keras_dynamonet.data").debug("a detail")
        logging.getLogger("keras_dynamonet.data").warning("a [bad] file")
        return 0

    program(run)
    main(["scan"])
    assert capsys.readouterr().err == "warning: a [bad] file\n"
    main(["scan", "--verbose"])
    assert capsys.readouterr().err == "a detail\nwarning: a [bad] file\n"


def test_a_program_name_among_the_arguments_of_another(capsys):
    """A folder may be called like a program."""
    arguments = make_parser(["evaluate", "runs/first", "train"]).parse_args(
        ["evaluate", "runs/first", "train"]
    )
    assert (arguments.program, arguments.data) == ("evaluate", "train")
