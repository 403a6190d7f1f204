import json

import pytest

import keras_dynamonet
from keras_dynamonet.cli.main import main
from keras_dynamonet.weights import export_state_dict
from tests.weights.small_models import clips, make_classifier, run


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "net.safetensors"
    export_state_dict(make_classifier(), path)
    return path


def names_file(tmp_path, *names):
    path = tmp_path / "names.txt"
    path.write_text("\n".join(names) + "\n")
    return str(path)


def test_imports_and_exports_back(weights, tmp_path, capsys):
    model, back = str(tmp_path / "net.keras"), str(tmp_path / "back.safetensors")
    assert main(["import-weights", str(weights), "--out", model, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["num_classes"] == 3
    assert document["tensors"]["missing"] == 0
    assert document["frame_size"] == [16, 16]
    assert (
        run(keras_dynamonet.load_model(model), clips())
        == run(make_classifier(), clips())
    ).all()
    assert main(["import-weights", model, "--out", back]) == 0
    assert (tmp_path / "back.safetensors").read_bytes() == weights.read_bytes()


def test_writes_a_dynamonet_with_names_and_a_report(weights, tmp_path, capsys):
    model, report = str(tmp_path / "net.keras"), tmp_path / "report.json"
    arguments = ["--class-names", names_file(tmp_path, "a", "b", "c"), "--dynamonet"]
    arguments += ["--report", str(report), "--frames", "5", "--size", "20"]
    assert main(["import-weights", str(weights), "--out", model, *arguments]) == 0
    assert "As stored with the weights: ResNet-10" in capsys.readouterr().err
    loaded = keras_dynamonet.load_model(model)
    assert isinstance(loaded, keras_dynamonet.DynamoNet)
    assert loaded.class_names == ["a", "b", "c"]
    assert (loaded.num_frames, loaded.frame_size) == (5, (20, 20))
    assert json.loads(report.read_text())["counts"]["unused"] == 0


@pytest.mark.parametrize(
    "arguments, status, message",
    [
        (["--out", "net.h5"], 2, "ends in .keras"),
        (["--out", "net.keras", "--class-names", "none.txt"], 1, "none.txt: cannot be"),
        (["--out", "net.keras", "--arch", "vgg"], 1, "`--arch vgg` is unknown"),
    ],
)
def test_mistakes_take_one_line(
    arguments, status, message, weights, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["import-weights", str(weights), *arguments]) == status
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1 and message in errors[0]
    assert not (tmp_path / "net.keras").exists()


@pytest.mark.parametrize("names", [("a", "b", "a"), ("", "")])
def test_class_names_must_be_distinct(names, weights, tmp_path, capsys):
    out = str(tmp_path / "net.keras")
    arguments = ["--class-names", names_file(tmp_path, *names)]
    assert main(["import-weights", str(weights), "--out", out, *arguments]) == 1
    assert "one name a line, each only once" in capsys.readouterr().err


def test_a_wrong_class_count_names_the_flag(weights, tmp_path, capsys):
    out = str(tmp_path / "net.keras")
    arguments = ["--class-names", names_file(tmp_path, "a", "b")]
    assert main(["import-weights", str(weights), "--out", out, *arguments]) == 1
    assert "--replace-head 2" in capsys.readouterr().err
    arguments += ["--replace-head", "2"]
    assert main(["import-weights", str(weights), "--out", out, *arguments]) == 0


def test_a_backbone_without_head_makes_no_dynamonet(tmp_path, capsys):
    path = tmp_path / "net.safetensors"
    export_state_dict(make_classifier(num_classes=None), path)
    out = str(tmp_path / "net.keras")
    assert main(["import-weights", str(path), "--out", out, "--dynamonet"]) == 1
    assert "num_classes" in capsys.readouterr().err
