import json
import logging
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
pytest.importorskip("fsspec")
pytest.importorskip("moto")

from keras_dynamonet.data import (  # noqa: E402
    downloads,
    remote_files,
    remote_fsspec,
)
from keras_dynamonet.data.bad_files import BadFileLog  # noqa: E402
from keras_dynamonet.data.clip_sampling import ClipSpec  # noqa: E402
from keras_dynamonet.data.clip_sources import (  # noqa: E402
    EvaluationViews,
    TrainingClips,
)
from keras_dynamonet.data.decoding import probe_video, read_frames  # noqa: E402
from keras_dynamonet.data.downloads import local_copy  # noqa: E402
from keras_dynamonet.data.layouts import read_listing  # noqa: E402
from keras_dynamonet.data.manifest import load_manifest  # noqa: E402
from keras_dynamonet.data.packing import pack_videos  # noqa: E402
from keras_dynamonet.data.pipeline import training_dataset  # noqa: E402
from keras_dynamonet.data.remote_files import (  # noqa: E402
    RemoteError,
    read_remote,
)
from keras_dynamonet.data.remote_fsspec import FsspecFiles  # noqa: E402
from keras_dynamonet.data.scan import scan_videos  # noqa: E402
from keras_dynamonet.data.video_file import VideoError  # noqa: E402
from keras_dynamonet.errors import UserError  # noqa: E402
from tests.remote_servers import HttpServer, s3_bucket, upload  # noqa: E402
from tests.video_files import numbered_frames, write_video  # noqa: E402

SPEC = ClipSpec(num_frames=2, size=16)
# Where tensorflow-io reads: it sets no time limit, compares no checksums, and counts
# requests in its own way.
BY_TENSORFLOW = remote_files.remote_files("http://").name.startswith("TensorFlow")
by_fsspec = pytest.mark.skipif(BY_TENSORFLOW, reason="tensorflow-io reads here")
FAULTS = ("reset", "503", *(() if BY_TENSORFLOW else ("slow",)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Four videos, a list of them, and the same packed."""
    root = tmp_path_factory.mktemp("served")
    for k in range(4):
        write_video(root / f"v {k}.mp4", numbered_frames(8) + 50 * k)
    (root / "list.csv").write_text(
        "".join(f"v {k}.mp4,{'ab'[k % 2]}\n" for k in range(4))
    )
    pack_videos(read_listing(root / "list.csv"), root / "packed", workers=1)
    return root


@pytest.fixture(scope="module")
def bucket(folder):
    with s3_bucket("videos") as bucket:
        upload(bucket, folder, "data")
        yield "s3://videos/data"


@pytest.fixture
def server(folder):
    with HttpServer(folder) as server:
        yield server


@pytest.fixture(autouse=True)
def short_patience(tmp_path, monkeypatch):
    monkeypatch.setattr(remote_files, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(remote_files, "_ATTEMPTS", 3)
    monkeypatch.setattr(remote_fsspec, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setenv("KERAS_DYNAMONET_CACHE", str(tmp_path / "cache"))
    remote_files._reader_of.cache_clear()
    yield
    remote_files._reader_of.cache_clear()


def cached(tmp_path) -> list[Path]:
    """What lies in the cache folder, halves of files included."""
    return [path for path in (tmp_path / "cache").rglob("*.*") if path.is_file()]


# Everything that DATA may be, over HTTP and from S3.


@pytest.fixture(params=["http", "s3"])
def place(request, server, bucket):
    return server.address if request.param == "http" else bucket


def test_videos_lists_and_shards_are_read_from_afar(place, folder, caplog):
    video = f"{place}/v 2.mp4"
    info = probe_video(video)
    assert (info.path, info.num_frames) == (video, 8)
    np.testing.assert_array_equal(
        read_frames(video, [0.1, 0.7]), read_frames(folder / "v 2.mp4", [0.1, 0.7])
    )
    with caplog.at_level(logging.INFO):
        listed = load_manifest(f"{place}/list.csv")
    assert "list.csv read as a CSV list: 2 classes, 4 videos" in caplog.text
    assert listed.path(0) == f"{place}/v 0.mp4" and listed.root == place
    packed = load_manifest(f"{place}/packed/")
    assert packed.path(0).startswith(f"{place}/packed/shard-00000-of-00001.tfrecord#0/")
    single = load_manifest(video, labelled=False)
    assert [single.path(0)] == [video]
    if video.startswith("http"):
        signed = load_manifest(f"{place}/list.csv?signature=1")
        assert signed.labels.tolist() == listed.labels.tolist()
        single = load_manifest(f"{video}?signature=1", labelled=False)
        assert [single.path(0)] == [f"{video}?signature=1"]
        named = f"{place}/get?file=walk.mp4"
        assert load_manifest(named, labelled=False).path(0) == named
    here = load_manifest(folder / "packed")
    assert packed.fingerprint() == here.fingerprint()
    for far, near in ((listed, load_manifest(folder / "list.csv")), (packed, here)):
        assert far.labels.tolist() == near.labels.tolist()
        streams = (
            training_dataset(manifest, SPEC, batch_size=4, seed=0).take(2)
            for manifest in (far, near)
        )
        for (clips, labels), (expected, expected_labels) in zip(*streams, strict=True):
            np.testing.assert_array_equal(clips, expected)
            np.testing.assert_array_equal(labels, expected_labels)
    assert [result.ok for result in scan_videos(packed)] == [True] * 4


def test_one_function_says_who_reads(caplog):
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            reader = remote_files.remote_files("s3://bucket/a.mp4")
    assert caplog.messages == [f"s3:// is read by {reader.name}"]
    assert reader.name in ("fsspec (s3fs)", "TensorFlow with tensorflow-io")


def test_mixed_lists(server, folder, tmp_path):
    """A list here may name videos elsewhere, and a root elsewhere."""
    data = tmp_path / "list.csv"
    data.write_text(f"{server.address}/v 0.mp4,a\n{folder}/v 1.mp4,b\n")
    mixed = load_manifest(data)
    assert TrainingClips(mixed, SPEC, seed=0)(0)[0].shape == (3, 16, 16, 3)
    data.write_text("v 0.mp4,a\nv 1.mp4,b\n")
    elsewhere = load_manifest(data, video_root=server.address)
    assert elsewhere.path(1) == f"{server.address}/v 1.mp4"
    both = elsewhere.concat(load_manifest(folder / "v 3.mp4", labelled=False))
    assert both.path(0) == elsewhere.path(0) and both.path(2) == f"{folder}/v 3.mp4"
    with pytest.raises(UserError, match="line 2: v 9.mp4 does not exist"):
        data.write_text(f"{server.address}/v 0.mp4,a\nv 9.mp4,b\n")
        load_manifest(data)


@by_fsspec
def test_a_changed_list_is_fetched_again(server, folder):
    data = folder / "changing.txt"
    for count in (1, 2):
        data.write_text("".join(f"v {k}.mp4 0\n" for k in range(count)))
        os.utime(data, ns=(0, count))
        assert len(load_manifest(f"{server.address}/changing.txt")) == count
    assert len(load_manifest(f"{server.address}/changing.txt")) == 2
    assert server.requests["/changing.txt"] == 2


def test_copies_are_kept_and_make_room(server, folder, tmp_path, monkeypatch):
    paths = [f"{server.address}/v {k}.mp4" for k in range(4)]
    asked = 0
    for _ in range(2):
        assert Path(local_copy(paths[0])).read_bytes() == (
            (folder / "v 0.mp4").read_bytes()
        )
        asked = asked or server.requests["/v 0.mp4"]
    assert server.requests["/v 0.mp4"] == asked
    size = (folder / "v 0.mp4").stat().st_size
    monkeypatch.setenv("KERAS_DYNAMONET_CACHE_GB", str(2.5 * size / 1e9))
    monkeypatch.setattr(downloads, "_room", downloads._Room())
    for k, path in enumerate(paths):
        os.utime(local_copy(path), ns=(k, k))
    kept = sorted(path.name for path in (tmp_path / "cache").rglob("*.mp4"))
    assert kept == ["v 2.mp4", "v 3.mp4"]
    monkeypatch.setenv("KERAS_DYNAMONET_CACHE_GB", "much")
    with pytest.raises(UserError, match="_CACHE_GB must be a positive number"):
        local_copy(paths[0])


# Faults.


@pytest.mark.parametrize("fault", FAULTS)
def test_what_passes_is_tried_again(server, folder, fault, caplog):
    path = f"{server.address}/v 1.mp4"
    server.faults["/v 1.mp4"] = [fault, fault]
    expected = read_frames(folder / "v 1.mp4", [0.3])
    np.testing.assert_array_equal(read_frames(path, [0.3]), expected)
    assert caplog.text.count("trying again in") == 2


@by_fsspec
def test_a_wrong_checksum_that_passes_is_tried_again(server, folder):
    server.faults["/v 1.mp4"] = ["wrong checksum"] * 2
    path = Path(local_copy(f"{server.address}/v 1.mp4"))
    assert path.read_bytes() == (folder / "v 1.mp4").read_bytes()
    assert server.requests["/v 1.mp4"] == 3


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_pass_is_an_error_that_names_the_address(server, tmp_path, fault):
    path = f"{server.address}/v 1.mp4"
    server.faults["/v 1.mp4"] = [fault] * 9
    with pytest.raises(RemoteError, match="v 1.mp4: cannot be read, 3 attempts") as all:
        read_frames(path, [0.3])
    assert "\n" not in str(all.value)
    assert not cached(tmp_path)  # nothing is kept by halves


@by_fsspec
def test_a_checksum_that_stays_wrong_is_a_bad_file(server, tmp_path):
    server.faults["/v 1.mp4"] = ["wrong checksum"] * 9
    with pytest.raises(VideoError, match="v 1.mp4: arrived with a wrong checksum, 3 t"):
        read_frames(f"{server.address}/v 1.mp4", [0.3])
    assert not cached(tmp_path)


def test_what_is_certain_is_not_tried_again(server, bucket):
    server.faults["/v 1.mp4"] = ["403"]
    for path, reason in (
        (f"{server.address}/none.mp4", "no such file"),
        (f"{server.address}/v 1.mp4", "(the server refuses to give it|no permission)"),
        (f"{bucket}/none.mp4", "no such file"),
        ("s3://no-such-bucket/a.mp4", "no such file"),
    ):
        with pytest.raises(VideoError, match=f"{path}: {reason}"):
            read_frames(path, [0.0])
        with pytest.raises(VideoError, match=f"{path}: {reason}"):
            server.faults["/v 1.mp4"] = ["403"]
            read_remote(path, 0, 10)
    assert max(server.requests.values()) <= 2


def test_a_dead_server_is_an_error_that_names_the_address():
    with pytest.raises(RemoteError, match="http://127.0.0.1:9/a.mp4: cannot be read"):
        read_frames("http://127.0.0.1:9/a.mp4", [0.0])


@by_fsspec
def test_servers_without_ranges_serve_records_too(server):
    expected = read_remote(f"{server.address}/v 1.mp4", 100, 50)
    server.faults["/v 1.mp4"] = ["no ranges"]
    assert read_remote(f"{server.address}/v 1.mp4", 100, 50) == expected
    assert len(expected) == 50


@pytest.mark.parametrize("fault", FAULTS)
def test_records_of_shards_are_tried_again(server, fault):
    packed = load_manifest(f"{server.address}/packed")
    shard = "/packed/shard-00000-of-00001.tfrecord"
    server.faults[shard] = [fault, fault]
    assert TrainingClips(packed, SPEC, seed=0)(0)[0].shape == (3, 16, 16, 3)
    server.faults[shard] = [fault] * 9
    log = BadFileLog()
    with pytest.raises(RemoteError, match=f"{shard}: cannot be read, 3 attempts"):
        TrainingClips(packed, SPEC, seed=0, bad_file_log=log)(0)
    with pytest.raises(RemoteError, match=f"{shard}: cannot be read, 3 attempts"):
        log.raise_if_failed()


def test_a_dead_server_ends_an_evaluation_with_its_own_words(server):
    packed = load_manifest(f"{server.address}/packed")
    server.faults["/packed/shard-00000-of-00001.tfrecord"] = ["503"] * 9
    log = BadFileLog()
    with pytest.raises(RemoteError):
        EvaluationViews(packed, SPEC, bad_file_log=log)(0)
    with pytest.raises(RemoteError, match="cannot be read"):
        log.raise_if_failed()


def test_a_damaged_remote_record_names_its_shard(folder, server):
    shard = folder / "packed" / "shard-00000-of-00001.tfrecord"
    whole = shard.read_bytes()
    packed = load_manifest(f"{server.address}/packed")
    try:
        shard.write_bytes(whole[:-200] + bytes([whole[-200] ^ 1]) + whole[-199:])
        with pytest.raises(VideoError, match=r"tfrecord#3/v 3.mp4: the shard is damag"):
            read_frames(packed.path(3), [0.0])
    finally:
        shard.write_bytes(whole)


def test_missing_videos_count_as_bad_and_missing_servers_do_not(server, tmp_path):
    data = tmp_path / "list.txt"
    names = ["v 0.mp4", "v 1.mp4", "gone.mp4"]
    data.write_text("".join(f"{server.address}/{name}\n" for name in names))
    manifest = load_manifest(data, labelled=False)
    log = BadFileLog()
    clips = TrainingClips(manifest, SPEC, seed=0, bad_file_log=log, max_bad_share=0.5)
    assert all(clips(k)[0].shape == (3, 16, 16, 3) for k in range(3))
    assert log.reasons == {f"{server.address}/gone.mp4": "no such file"}


# Mistakes.


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("none.csv", {}, "none.csv: no such file"),
        ("folder", {}, "folder: no such file: there is no pack.json. Give the address"),
        ("", {"layout": "class_folders"}, "a remote class_folders cannot be listed"),
        ("list.csv", {"layout": "ucf101"}, "can be csv or text, not 'ucf101'"),
    ],
)
def test_what_cannot_be_listed(server, name, arguments, message):
    with pytest.raises(UserError, match=message):
        load_manifest(f"{server.address}/{name}", **arguments)


def test_an_unfinished_remote_packing_is_refused(server, folder):
    (folder / "half").mkdir(exist_ok=True)
    pack = json.loads((folder / "packed" / "pack.json").read_text())
    (folder / "half" / "pack.json").write_text(json.dumps(pack | {"complete": False}))
    with pytest.raises(UserError, match="half: was not packed to the end"):
        load_manifest(f"{server.address}/half")


@by_fsspec
def test_unknown_schemes_and_missing_packages(monkeypatch):
    with pytest.raises(UserError, match="nosuch:// addresses cannot be read"):
        read_frames("nosuch://host/a.mp4", [0.0])
    with pytest.raises(UserError, match=r"hdfs:// files need `pip install pyarrow`"):
        read_frames("hdfs://host/a.mp4", [0.0])
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(UserError, match=r"gs:// files needs an extra: .*\[remote\]"):
        remote_fsspec.FsspecFiles("gs")


@pytest.mark.skipif(not BY_TENSORFLOW, reason="needs tensorflow-io: make test-io")
def test_tf_data_reads_shards_from_afar_without_python(place):
    shard = f"{place}/packed/shard-00000-of-00001.tfrecord"
    names = []
    for raw in tf.data.TFRecordDataset(shard):
        context, lists = tf.io.parse_single_sequence_example(
            raw,
            {"video/path": tf.io.FixedLenFeature([], tf.string)},
            {"frame/jpeg": tf.io.FixedLenSequenceFeature([], tf.string)},
        )
        names.append(context["video/path"].numpy().decode())
        assert tf.io.decode_jpeg(lists["frame/jpeg"][0]).shape == (48, 64, 3)
    assert names == [f"v {k}.mp4" for k in range(4)]


def test_a_changed_file_is_told_by_its_time_where_there_is_no_tag():
    files = object.__new__(FsspecFiles)
    for mtime, version in ((None, None), (17, "17")):
        info = {"size": 3, "mtime": mtime}
        files._files = SimpleNamespace(info=lambda path, info=info: info)
        assert files.info("hdfs://host/a.index").version == version
