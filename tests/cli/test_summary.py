import json

import pytest

from keras_dynamonet.cli import summary
from keras_dynamonet.cli.main import main
from tests.weights.small_models import make_classifier


def test_counts_a_preset(capsys):
    assert main(["summary", "nano-16f", "--classes", "8", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["clip"] == [16, 64, 64, 3]
    assert document["parameters"] == sum(
        layer["parameters"] for layer in document["layers"]
    )
    assert {"stem_conv", "stage4_block1", "action"} <= {
        layer["name"] for layer in document["layers"]
    }


def test_counts_a_file(tmp_path, capsys):
    make_classifier().save(tmp_path / "net.keras")
    assert main(["summary", str(tmp_path / "net.keras"), "--layers"]) == 0
    output = capsys.readouterr().out
    assert "stage1_block1" in output and "4x16x16" in output


def test_counts_torchvisions_network_as_torchvision_does(capsys):
    assert main(["summary", "mc3_18", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["parameters"] == 11_695_440
    assert round(document["macs"] / 1e9, 3) == 43.343


def test_zoo_lists_presets_and_checkpoints(monkeypatch, capsys):
    figures = {"clip": "16x112x112", "parameters": 1234, "macs": 5e9}
    figures |= {"published": "", "source": ""}
    monkeypatch.setattr(summary, "_figures", lambda model: dict(figures))
    monkeypatch.setattr(
        "keras_dynamonet.models.dynamonet.DynamoNet.from_preset", lambda *_, **__: None
    )
    monkeypatch.setattr("keras_dynamonet.models.resnext3d.ResNeXt3D", lambda **_: None)
    assert main(["summary", "--zoo", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| name | checkpoint | clip | parameters | GMAC")
    assert any("resnext-101-kinetics.pth" in line and "75.4" in line for line in lines)
    assert any("resnext101-16f" in line and "1,234 | 5.00" in line for line in lines)
    assert any("resnext-101-64f-kinetics.keras --frames 64`" in line for line in lines)
    assert all(line.count("|") == lines[0].count("|") for line in lines)


@pytest.mark.parametrize(
    "arguments, status, message",
    [
        ([], 2, "Name a MODEL"),
        (["nano-16f", "--zoo"], 2, "Name a MODEL"),
        (["vgg"], 1, "no known name"),
        (["none.keras"], 1, "none.keras"),
    ],
)
def test_mistakes_take_one_line(arguments, status, message, capsys):
    assert main(["summary", *arguments]) == status
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1 and message in errors[0]
