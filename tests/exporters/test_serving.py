import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from keras_dynamonet.errors import MissingExtraError, UserError
from keras_dynamonet.exporters import serving
from keras_dynamonet.exporters.saved_model import encode_jpeg
from keras_dynamonet.exporters.serving import (
    export_serving,
    models_config,
    require_serving,
    version_path,
)
from keras_dynamonet.exporters.serving_client import (
    GrpcClient,
    RestClient,
    UnreachableError,
)
from tests.action_videos import write_action_videos
from tests.exporters.stand_in_server import StandIn, grpc_server, rest_server

pytest.importorskip("tensorflow_serving")


@pytest.fixture(scope="module")
def tree(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    export_serving(source, folder, name="actions")
    return folder


@pytest.fixture(scope="module")
def stand_in(tree):
    server = StandIn("actions", tree / "models" / "actions" / "1")
    yield server
    server.model.close()


def test_tree_is_complete(tree):
    files = {path.relative_to(tree).as_posix() for path in tree.rglob("*")}
    assert files >= {
        "docker-compose.yml",
        "config/models.config",
        "config/batching.config",
        "config/monitoring.config",
        "models/actions/1/saved_model.pb",
        "models/actions/1/assets.extra/tf_serving_warmup_requests",
        "models/actions/1.json",
    }
    compose = (tree / "docker-compose.yml").read_text()
    for path in re.findall(r"=/config/(\S+)", compose):
        assert (tree / "config" / path).is_file()
    # The server of the TensorFlow that wrote the graph, unless one is named.
    release = ".".join(tf.__version__.split(".")[:2])
    image = f"image: tensorflow/serving:${{TF_SERVING_TAG:-{release}.0}}"
    assert image in [line.strip() for line in compose.splitlines()]


@pytest.mark.parametrize("version", ["2.21.0", "2.21.1", "2.21.0-rc1"])
def test_servers_are_those_of_a_release(version, monkeypatch):
    monkeypatch.setattr(tf, "__version__", version)
    assert serving._default_tag() == "2.21.0"


def test_models_are_listed_in_the_words_of_the_server(tree):
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    text = (tree / "config" / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("actions", "/models/actions")
    assert model.model_platform == "tensorflow"


def test_batches_are_those_that_the_server_allows(tree):
    text = (tree / "config" / "batching.config").read_text()
    sizes = [int(size) for size in re.findall(r"allowed_batch_sizes: (\d+)", text)]
    assert sizes == sorted(sizes)
    # The server refuses to start if the last is another.
    assert f"max_batch_size {{ value: {sizes[-1]} }}" in text


def test_versions_count_up(tmp_path):
    assert version_path(tmp_path, "a").name == "1"
    (tmp_path / "models" / "a" / "7").mkdir(parents=True)
    assert version_path(tmp_path, "a").name == "8"
    assert version_path(tmp_path, "a", 3).name == "3"
    (tmp_path / "models" / "empty").mkdir()
    assert 'name: "a"' in models_config(tmp_path, "b")
    assert 'name: "b"' in models_config(tmp_path, "b")
    assert "empty" not in models_config(tmp_path, "b")


def test_settings_of_the_server_that_are_there_stay(source, tmp_path):
    (tmp_path / "config").mkdir()
    tuned = {
        "docker-compose.yml": "services: {}",
        "config/batching.config": "max_batch_size { value: 2 }",
    }
    for path, text in tuned.items():
        (tmp_path / path).write_text(text)
    models = tmp_path / "config" / "models.config"
    models.write_text(
        'model_config_list { config { name: "old" base_path: "/models/old" '
        'model_platform: "tensorflow" version_labels { key: "stable" value: 3 } } }'
    )
    export_serving(source, tmp_path, name="actions")
    assert {path: (tmp_path / path).read_text() for path in tuned} == tuned
    assert all(part in models.read_text() for part in ("stable", '"actions"'))
    models.write_text("model_config_list {")
    with pytest.raises(UserError, match="models.config: is no list of models"):
        export_serving(source, tmp_path, name="actions")
    assert [path.name for path in (tmp_path / "models" / "actions").glob("?")] == ["1"]


def test_no_version_is_served_without_its_settings(source, tmp_path):
    (tmp_path / "config").write_text("")
    with pytest.raises(UserError, match="config/.*: cannot be written: "):
        export_serving(source, tmp_path, name="actions")
    assert [path.name for path in tmp_path.iterdir()] == ["config"]


def test_a_version_that_fails_leaves_no_settings(source, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise UserError("a graph that no server takes")

    monkeypatch.setattr(serving, "export_saved_model", fail)
    with pytest.raises(UserError, match="a graph that no server takes"):
        export_serving(source, tmp_path, name="actions")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_version_that_exists_is_refused(source, tree):
    with pytest.raises(UserError, match="models/actions/1: exists already"):
        export_serving(source, tree, name="actions", version=1)
    (tree / "models" / "actions" / "9").mkdir()
    with pytest.raises(UserError, match="9: is a folder, but no SavedModel, and is no"):
        export_serving(source, tree, name="actions", version=9, overwrite=True)
    (tree / "models" / "actions" / "9").rmdir()
    (tree / "models" / "actions" / "9").symlink_to(tree / "models" / "actions" / "1")
    with pytest.raises(UserError, match="9: is a symbolic link, and is not replaced"):
        export_serving(source, tree, name="actions", version=9, overwrite=True)
    (tree / "models" / "actions" / "9").unlink()


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../a"])
def test_impossible_names_are_refused(name, tmp_path):
    with pytest.raises(UserError, match="use letters, digits, - and _"):
        version_path(tmp_path, name)


def test_impossible_versions_are_refused(tmp_path):
    with pytest.raises(UserError, match="must be at least 1. Received: 0"):
        version_path(tmp_path, "a", 0)


def test_missing_extra_is_named(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"keras-dynamonet\[serving\]"):
        require_serving()


def test_grpc(source, stand_in):
    clips = source.clips.parity[:3]
    with grpc_server(stand_in) as address, GrpcClient(address, "actions") as client:
        outputs = client.predict({"clip": clips})
        assert set(outputs) == set(source.outputs)
        np.testing.assert_allclose(
            outputs["probabilities"], source.expected["probabilities"][:3], atol=1e-4
        )
        embedding = client.predict({"clip": clips}, "embed")["embedding"]
        np.testing.assert_allclose(
            embedding, source.expected["embedding"][:3], atol=1e-3, rtol=1e-3
        )
        frames = {"frames": encode_jpeg(clips)}
        assert client.predict(frames, "classify_bytes")["logits"].shape == (3, 5)
    signature, inputs = stand_in.requests[0]
    assert signature == "serving_default"
    np.testing.assert_array_equal(inputs["clip"], clips)


def test_grpc_takes_large_messages(source, stand_in, monkeypatch):
    monkeypatch.setattr(stand_in, "max_batch_size", 2000)
    # 6 MB a request; the limit of gRPC is 4 MB unless it is raised.
    clips = np.zeros((2000, 4, 16, 16, 3), "uint8")
    with grpc_server(stand_in) as address:
        with GrpcClient(address, "actions", version=1) as client:
            outputs = client.predict({"clip": clips}, "embed")
    assert len(outputs["embedding"]) == 2000


def test_grpc_asks_again_where_the_queue_is_full(stand_in, monkeypatch):
    # More than the 256 KB that gRPC keeps by itself.
    clips = np.zeros((400, 4, 16, 16, 3), "uint8")
    monkeypatch.setattr(stand_in, "max_batch_size", 400)
    monkeypatch.setattr(stand_in, "refusals", 2)
    with grpc_server(stand_in) as address, GrpcClient(address, "actions") as client:
        assert len(client.predict({"clip": clips}, "embed")["embedding"]) == 400
        monkeypatch.setattr(stand_in, "refusals", 9)
        with pytest.raises(UserError, match="is busy: .*queue is full. Ask") as told:
            client.predict({"clip": clips}, "embed")
        # Which would end the work on other videos.
        assert not isinstance(told.value, UnreachableError)
        assert stand_in.refusals == 4


def test_grpc_errors_are_lines(source, stand_in):
    clip = {"clip": source.clips.parity[:1]}
    with grpc_server(stand_in) as address:
        with GrpcClient(address, "other") as client:
            with pytest.raises(UserError, match="NOT_FOUND: Servable not found for"):
                client.predict(clip)
        with GrpcClient(address, "actions") as client:
            with pytest.raises(UserError, match='INVALID_ARGUMENT: .*"sing" not found'):
                client.predict(clip, "sing")
    with GrpcClient("127.0.0.1:9", "actions", timeout_seconds=2) as client:
        with pytest.raises(
            UnreachableError, match="127.0.0.1:9: (UNAVAILABLE|DEADLINE)"
        ):
            client.predict(clip)


def test_errors_of_the_graph_are_one_line(stand_in):
    frames = {"frames": np.full((1, 4), b"no picture", object)}
    with grpc_server(stand_in) as grpc, rest_server(stand_in) as rest:
        for client in (GrpcClient(grpc, "actions"), RestClient(rest, "actions")):
            with client, pytest.raises(UserError, match="(?i)image|jpeg") as told:
                client.predict(frames, "classify_bytes")
            assert "\n" not in str(told.value) and "[[" not in str(told.value)


def test_rest(source, stand_in):
    clips = source.clips.parity[:2]
    with rest_server(stand_in) as address:
        client = RestClient(f"http://{address}", "actions", version=None)
        outputs = client.predict({"clip": clips})
        assert set(outputs) == set(source.outputs)
        np.testing.assert_allclose(
            outputs["probabilities"], source.expected["probabilities"][:2], atol=1e-4
        )
        # A single output comes without its name.
        assert set(client.predict({"clip": clips}, "embed")) == {"embedding"}
        pinned = RestClient(address, "actions", version=1)
        frames = {"frames": encode_jpeg(clips)}
        outputs = pinned.predict(frames, "classify_bytes")
        assert outputs["probabilities"].shape == (2, 5)


@pytest.mark.parametrize(
    ("address", "kind", "port"),
    [
        ("https://models.example.com", "HTTPSConnection", 443),
        ("https://models.example.com:8443/tf", "HTTPSConnection", 8443),
        ("http://models.example.com", "HTTPConnection", 80),
        ("models.example.com", "HTTPConnection", 8501),
        ("[::1]", "HTTPConnection", 8501),
    ],
)
def test_rest_connects_to_the_port_of_the_address(address, kind, port, monkeypatch):
    def refuse(self):
        asked.append((type(self).__name__, self.port))
        raise OSError("nobody there")

    asked = []
    monkeypatch.setattr(f"http.client.{kind}.connect", refuse)
    with pytest.raises(UserError, match="nobody there"):
        RestClient(address, "actions").metadata()
    assert asked == [(kind, port)]


def test_rest_errors_are_lines(source, stand_in):
    clip = {"clip": source.clips.parity[:1]}
    with rest_server(stand_in) as address:
        with pytest.raises(UserError, match="Servable not found for request"):
            RestClient(address, "other").predict(clip)
        with pytest.raises(UserError, match='"sing" not found'):
            RestClient(address, "actions").predict(clip, "sing")
    with pytest.raises(
        UnreachableError, match="127.0.0.1:9: no answer of TensorFlow Serving"
    ):
        RestClient("127.0.0.1:9", "actions").predict(clip)
    with pytest.raises(UserError, match="is no address. Give host:port or a URL"):
        RestClient("ftp://host", "actions")
    with pytest.raises(UserError, match="is no address. Give host:port or a URL"):
        RestClient("localhost:port", "actions")


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{}", 200, "JSON without `outputs`"),
        (b"[]", 200, "JSON without `outputs`"),
        (b"3", 200, "JSON without `outputs`"),
        (b"null", 500, "JSON without `outputs`"),
        (b'{"outputs": 3}', 200, "JSON without `metadata`"),
        (b'{"outputs": 3, "metadata": 3}', 200, "metadata that do not name the output"),
        (b'{"outputs": {"a": "b"}}', 200, "outputs that are no numbers"),
    ],
)
def test_rest_refuses_json_of_another_server(body, status, reason, monkeypatch):
    answer_with(body, status, monkeypatch)
    with pytest.raises(
        UnreachableError, match=f"host:1: no answer of TensorFlow Serving: {reason}"
    ):
        RestClient("host:1", "actions").predict({"clip": np.zeros(1)})


@pytest.mark.parametrize("body", [b"{}", b'{"error": null}'])
def test_rest_tells_the_status_of_errors_without_a_text(body, monkeypatch):
    answer_with(body, 404, monkeypatch)
    with pytest.raises(UserError, match="^host:1: status 404$"):
        RestClient("host:1", "actions").metadata()


def answer_with(body, status, monkeypatch):
    response = SimpleNamespace(status=status, read=lambda: body)
    connection = "http.client.HTTPConnection"
    monkeypatch.setattr(f"{connection}.request", lambda *_: None)
    monkeypatch.setattr(f"{connection}.getresponse", lambda _: response)


def test_serve_client_classifies_videos(tree, stand_in, tmp_path, capsys):
    from keras_dynamonet.cli.main import main

    write_action_videos(tmp_path / "videos", videos=1)
    video = str(next((tmp_path / "videos").rglob("*.mp4")))
    sidecar = str(tree / "models" / "actions" / "1.json")
    found = []
    with grpc_server(stand_in) as grpc, rest_server(stand_in) as rest:
        for where in (["--grpc", grpc], ["--rest", rest]):
            # More clips than the server takes at a time.
            options = [*where, "--clips", "10", "--top", "2", "--json"]
            assert main(["serve-client", sidecar, video, *options]) == 0
            document = json.loads(capsys.readouterr().out)
            assert document["errors"] == []
            found.append(document["videos"])
        assert main(["serve-client", sidecar, video, "--grpc", grpc]) == 0
        assert "probability" in capsys.readouterr().out
    for (result,) in found:
        assert result["video"] == video
        assert len(result["actions"]) == 2
    names = [[row["action"] for row in result["actions"]] for (result,) in found]
    assert names[0] == names[1]


@pytest.fixture(scope="module")
def three_videos(tmp_path_factory):
    """The second of them is damaged."""
    folder = tmp_path_factory.mktemp("videos")
    write_action_videos(folder, videos=2)
    first, last = sorted(folder.rglob("*.mp4"))[:2]
    damaged = folder / "damaged.mp4"
    damaged.write_bytes(b"no video" * 100)
    return [str(path) for path in (first, damaged, last)]


def test_serve_client_goes_on_after_a_bad_video(tree, stand_in, three_videos, capsys):
    from keras_dynamonet.cli.main import main

    first, damaged, last = three_videos
    words = ["serve-client", str(tree / "models" / "actions" / "1.json")]
    words += [first, damaged, f"{damaged}.gone", last]
    with grpc_server(stand_in) as grpc, rest_server(stand_in) as rest:
        for where in (["--grpc", grpc], ["--rest", rest]):
            assert main([*words, *where, "--json"]) == 1
            printed = capsys.readouterr()
            document = json.loads(printed.out)
            assert [video["video"] for video in document["videos"]] == [first, last]
            errors = document["errors"]
            for path, line in zip((damaged, f"{damaged}.gone"), errors, strict=True):
                assert line.startswith(f"{path}: ") and "\n" not in line
                assert f"error: {line}\n" in printed.err
        assert main([*words, "--grpc", grpc]) == 1
        printed = capsys.readouterr().out
        assert first in printed and last in printed and damaged not in printed


def test_serve_client_tells_errors_of_the_server_per_video(
    tree, stand_in, three_videos, capsys
):
    from keras_dynamonet.cli.main import main

    videos = three_videos[::2]
    words = ["serve-client", str(tree / "models" / "actions" / "1.json"), *videos]
    with rest_server(stand_in) as address:
        assert main([*words, "--rest", address, "--model", "other"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    for video in videos:
        assert f"error: {video}: {address}: Servable not found" in printed.err


def test_serve_client_tells_answers_that_are_no_probabilities(
    tree, three_videos, monkeypatch, capsys
):
    from keras_dynamonet.cli.main import main

    monkeypatch.setattr(
        RestClient, "predict", lambda *_: {"probabilities": np.float32(3)}
    )
    words = ["serve-client", str(tree / "models" / "actions" / "1.json"), "--json"]
    assert main([*words, three_videos[0], "--rest", "127.0.0.1:1"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["videos"] == [] and len(document["errors"]) == 1
    assert document["errors"][0].startswith(f"{three_videos[0]}: ")


@pytest.mark.parametrize("classes", [3, 40])
def test_serve_client_refuses_answers_of_other_classes(
    classes, tree, three_videos, monkeypatch, capsys
):
    from keras_dynamonet.cli.main import main

    answer = {"probabilities": np.full((1, classes), 1 / classes, "float32")}
    monkeypatch.setattr(RestClient, "predict", lambda *_: answer)
    words = ["serve-client", str(tree / "models" / "actions" / "1.json")]
    assert main([*words, three_videos[0], "--rest", "127.0.0.1:1"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert f"has {classes} classes, the sidecar names 5. Take the sidecar" in told


def test_serve_client_asks_for_the_version_of_the_sidecar(
    tree, three_videos, tmp_path, monkeypatch
):
    from keras_dynamonet.cli.main import main

    asked = []

    def make(address, model, *, version, timeout_seconds):
        asked.append(version)
        raise UserError("enough")

    monkeypatch.setattr("keras_dynamonet.exporters.serving_client.GrpcClient", make)
    sidecar = tree / "models" / "actions" / "1.json"
    named = tmp_path / "actions.json"
    named.write_bytes(sidecar.read_bytes())
    for path, *version in ((sidecar,), (named,), (sidecar, "--model-version", "3")):
        assert main(["serve-client", str(path), three_videos[0], *version]) == 1
    assert asked == [1, None, 3]


def test_serve_client_takes_no_empty_address(tree, three_videos, capsys):
    from keras_dynamonet.cli.main import main

    words = ["serve-client", str(tree / "models" / "actions" / "1.json")]
    for option, message in (("--rest", "is no address"), ("--grpc", "is empty")):
        assert main([*words, three_videos[0], option, ""]) == 1
        assert message in capsys.readouterr().err


def test_serve_client_stops_where_the_server_ends(
    tree, stand_in, three_videos, monkeypatch, capsys
):
    from keras_dynamonet.cli.main import main

    def predict(client, *request):
        answer = ask(client, *request)
        monkeypatch.setattr(RestClient, "predict", unreachable)
        return answer

    def unreachable(client, *_):
        raise UnreachableError(f"{client.address}: no answer")

    ask = RestClient.predict
    monkeypatch.setattr(RestClient, "predict", predict)
    first, _, last = three_videos
    words = ["serve-client", str(tree / "models" / "actions" / "1.json"), "--json"]
    with rest_server(stand_in) as address:
        assert main([*words, first, last, last, "--rest", address]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [video["video"] for video in document["videos"]] == [first]
    assert document["errors"] == [f"{address}: no answer"]


def test_serve_client_stops_at_once_without_a_server(tree, three_videos, capsys):
    from keras_dynamonet.cli.main import main

    words = ["serve-client", str(tree / "models" / "actions" / "1.json")]
    assert main([*words, *three_videos, "--rest", "127.0.0.1:9"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("127.0.0.1:9: no answer of TensorFlow Serving") == 1
    assert "damaged.mp4" not in printed.err


def test_serve_client_needs_a_sidecar(tmp_path, capsys):
    from keras_dynamonet.cli.main import main

    path = tmp_path / "a.json"
    for content, message in (
        (None, "cannot be read: No such file"),
        ("{", "is no JSON file"),
        ('{"format": "onnx"}', "is not the sidecar of a SavedModel"),
        ('{"format": "saved_model"}', "a SavedModel: it lacks `clip_frames`, `frame"),
    ):
        if content is not None:
            path.write_text(content)
        assert main(["serve-client", str(path), "a.mp4"]) == 1
        assert message in capsys.readouterr().err.replace("\n", " ")
