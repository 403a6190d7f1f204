import json
import os
import sys

import pytest

from keras_dynamonet.cli import output


def test_json_goes_to_standard_output(capsys):
    output.print_json({"accuracy": 0.5})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"accuracy": 0.5}
    assert captured.err == ""


def test_json_has_no_words_for_nan_and_infinity(capsys):
    document = {"loss": float("nan"), "rows": [1.5, float("inf")], "name": "a"}
    output.print_json(document, indent=None)
    line = '{"loss": null, "rows": [1.5, null], "name": "a"}\n'
    assert capsys.readouterr().out == line


def test_messages_go_to_standard_error_as_they_are(capsys):
    output.say("[bold] 50 % of " + "a long line " * 30)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("[bold] 50 % of a long line")
    assert captured.err.count("\n") == 1


def test_fail_says_so_and_gives_the_status(capsys):
    assert output.fail("no.", status=3) == 3
    assert capsys.readouterr().err == "dynamonet: error: no.\n"


def test_tables_align_numbers_to_the_right(capsys):
    table = output.make_table("class", "videos", numbers=("videos",))
    table.add_row("walk", "7")
    output.result_console().print(table)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines] == ["class  videos", "walk        7"]


def test_progress_is_silent_without_a_terminal(capsys):
    with output.step_progress("predicting") as progress:
        progress(1, 2)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == ""


@pytest.fixture
def noisy_tensorflow(monkeypatch, tmp_path):
    """A stand-in for TensorFlow that writes to the file behind standard error."""
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)

    def install(*, fails=False):
        def import_module(name):
            assert name == "tensorflow"
            os.write(2, b"noise from compiled code\n")
            if fails:
                raise ImportError("broken")

        monkeypatch.setattr(output.importlib, "import_module", import_module)

    return install


def test_noise_of_the_import_is_kept_away(noisy_tensorflow, capfd):
    noisy_tensorflow()
    output.load_tensorflow()
    assert capfd.readouterr().err == ""


def test_noise_is_shown_on_request(noisy_tensorflow, capfd):
    noisy_tensorflow()
    output.load_tensorflow(verbose=True)
    assert "noise" in capfd.readouterr().err


def test_noise_is_shown_if_the_import_fails(noisy_tensorflow, capfd):
    noisy_tensorflow(fails=True)
    with pytest.raises(ImportError, match="broken"):
        output.load_tensorflow()
    assert "noise" in capfd.readouterr().err
