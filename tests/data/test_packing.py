import functools
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_dynamonet import files  # noqa: E402
from keras_dynamonet.data import packing  # noqa: E402
from keras_dynamonet.data.clip_sampling import ClipSpec  # noqa: E402
from keras_dynamonet.data.clip_sources import TrainingClips  # noqa: E402
from keras_dynamonet.data.layouts import read_listing  # noqa: E402
from keras_dynamonet.data.manifest import list_splits, load_manifest  # noqa: E402
from keras_dynamonet.data.packed_record import PackedRecord  # noqa: E402
from keras_dynamonet.data.packing import pack_videos  # noqa: E402
from keras_dynamonet.data.scan import scan_videos  # noqa: E402
from keras_dynamonet.data.shard_writing import PackSettings, Source, write_shard  # noqa: E402
from keras_dynamonet.data.transforms import Augmentation  # noqa: E402
from keras_dynamonet.data.video_file import VideoError  # noqa: E402
from keras_dynamonet.data.video_opening import open_video_reader  # noqa: E402
from keras_dynamonet.errors import UserError  # noqa: E402
from tests.video_files import frame_numbers, numbered_frames, write_video  # noqa: E402

SETTINGS = PackSettings(videos_per_shard=3)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A list of eight videos of two classes and two splits, one of them bad."""
    root = tmp_path_factory.mktemp("source")
    lines = []
    for k in range(8):
        path = root / f"{'ab'[k % 2]}" / f"v {k}.mp4"
        path.parent.mkdir(exist_ok=True)
        # 12 + k frames of 48 x 64 pixels, 10 a second, as grey as their number.
        frames = numbered_frames(12 + k)
        write_video(path, frames, codec_options={"qp": "0"})
        lines.append(
            f"{path.relative_to(root)},{'ab'[k % 2]},{'train test'.split()[k > 5]}\n"
        )
    (root / "b" / "v 5.mp4").write_bytes(b"garbage")
    (root / "list.csv").write_text("path,label,split\n" + "".join(lines))
    return root / "list.csv"


@pytest.fixture(scope="module")
def packed(source, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("packed") / "out"
    pack_videos(read_listing(source), out, SETTINGS, workers=1, max_bad_share=0.2)
    return out


def test_a_packed_folder_is_read_as_its_source(source, packed, caplog):
    with caplog.at_level("INFO"):
        manifest = load_manifest(packed)
    assert "read as packed shards: 2 classes, 7 videos" in caplog.text
    plain = load_manifest(source)
    kept = [0, 1, 2, 3, 4, 6, 7]  # 5 is bad
    assert manifest.labels.tolist() == plain.labels[kept].tolist()
    assert manifest.class_names == plain.class_names
    assert [path.partition("#")[2].partition("/")[2] for path in manifest.paths] == [
        plain.paths[k] for k in kept
    ]
    assert list_splits(packed) == ("train", "test")
    assert len(load_manifest(packed, split="test")) == 2
    with open_video_reader(manifest.path(6)) as video:
        assert (video.fps, len(video.frame_times)) == (10.0, 19)
        assert video.duration_seconds == pytest.approx(1.9)
        times = [0.0, 1.85, 0.31, 0.31]
        frames = video.read_frames(times)
        with open_video_reader(plain.path(7)) as original:
            np.testing.assert_allclose(frames, original.read_frames(times), atol=2)
        assert frame_numbers(frames) == [0, 18, 3, 3]
        assert video.read_frames([0.2], short_side=24).shape == (1, 24, 32, 3)
        assert [shown.shape for _, shown in video.iterate_frames(short_side=64)] == (
            [(64, 85, 3)] * 19
        )
        with pytest.raises(VideoError, match="no frame at 2.50 s, it ends at 1.90 s"):
            video.read_frames([2.5])


def test_clips_are_those_of_the_source(source, packed):
    """Same seed, same videos, same moments: packing changes the codec alone."""
    spec = ClipSpec(num_frames=3, size=32, fps=5.0)
    plain = load_manifest(source)
    manifests = load_manifest(packed), plain.subset([0, 1, 2, 3, 4, 6, 7])
    streams = [TrainingClips(each, spec, seed=2) for each in manifests]
    for sample in range(20):
        (clip, label), (expected, expected_label) = (s(sample) for s in streams)
        assert label == expected_label
        np.testing.assert_allclose(clip.astype(int), expected, atol=4)


def test_shards_are_tfrecords_that_anybody_can_read(packed):
    shards = sorted(packed.glob("*.tfrecord"))
    assert [path.name for path in shards] == [
        f"shard-0000{k}-of-00003.tfrecord" for k in range(3)
    ]
    names = []
    for raw in tf.data.TFRecordDataset([str(path) for path in shards]):
        context, lists = tf.io.parse_single_sequence_example(
            raw,
            {
                "video/path": tf.io.FixedLenFeature([], tf.string),
                "video/class": tf.io.FixedLenFeature([], tf.string),
                "frame/time_ns": tf.io.VarLenFeature(tf.int64),
            },
            {"frame/jpeg": tf.io.FixedLenSequenceFeature([], tf.string)},
        )
        names.append(context["video/path"].numpy().decode())
        picture = tf.io.decode_jpeg(lists["frame/jpeg"][2])
        assert frame_numbers(picture.numpy()[None]) == [2]
    # Dealt out in turn: 0, 3, 6; 1, 4, 7; 2 (5 is bad).
    assert [name[2:5] for name in names] == [f"v {k}" for k in (0, 3, 6, 1, 4, 7, 2)]


def test_frame_rate_and_size_can_be_chosen(source, tmp_path):
    listing = read_listing(source)
    settings = PackSettings(fps=5.0, short_side=24)
    pack_videos(listing, tmp_path / "out", settings, workers=1, max_bad_share=0.2)
    manifest = load_manifest(tmp_path / "out", labelled=False)
    with open_video_reader(manifest.path(0)) as video:
        assert (video.fps, video.duration_seconds) == (5.0, 1.2)
        assert video.coded_size == (24, 32)
        # Frame k is what is on display at (k + 0.5) / 5 seconds.
        shown = [frame_numbers(frame[None])[0] for _, frame in video.iterate_frames()]
        assert shown == [1, 3, 5, 7, 9, 11]


def test_a_stopped_run_goes_on_where_it_was(source, packed, tmp_path, monkeypatch):
    listing, out = read_listing(source), tmp_path / "out"
    written = []

    def stop_after_two(stem, sources, settings):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(stem.name)
        return write_shard(stem, sources, settings)

    monkeypatch.setattr(packing, "write_shard", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        pack_videos(listing, out, SETTINGS, workers=1, max_bad_share=0.2)
    with pytest.raises(UserError, match="was not packed to the end"):
        load_manifest(out)
    written.clear()
    progress = []
    pack = pack_videos(
        listing,
        out,
        SETTINGS,
        workers=1,
        max_bad_share=0.2,
        progress=lambda *numbers: progress.append(numbers),
    )
    assert written == ["shard-00002-of-00003"]
    assert progress == [(3, 8), (6, 8), (8, 8)]
    whole = json.loads((packed / "pack.json").read_text())
    assert pack["fingerprint"] == whole["fingerprint"]
    assert [Path(path).name for path in pack["bad"]] == ["v 5.mp4"]
    for path in sorted(packed.glob("shard*")):
        assert (out / path.name).read_bytes() == path.read_bytes()
    assert not list(out.glob(".*partial*"))


def test_several_processes_write_the_same_files(source, packed, tmp_path):
    begun = tmp_path / "begun"
    pack_videos(
        read_listing(source),
        tmp_path / "out",
        SETTINGS,
        workers=2,
        max_bad_share=0.2,
        initializer=functools.partial(Path.touch, begun),
    )
    assert begun.exists()
    for path in sorted(packed.glob("shard*")):
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_only_the_same_packing_goes_on(source, packed, tmp_path):
    listing = read_listing(source)
    assert pack_videos(listing, packed, SETTINGS)["complete"]
    with pytest.raises(UserError, match="packed from others or in another way"):
        pack_videos(listing, packed, PackSettings(quality=50))
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="holds something else"):
        pack_videos(listing, tmp_path, SETTINGS)
    with pytest.raises(UserError, match="holds something else"):
        pack_videos(listing, tmp_path, SETTINGS, overwrite=True)
    (tmp_path / "pack.json").write_text('{"name": "another program"}')
    (tmp_path / "index").mkdir()
    with pytest.raises(UserError, match="its pack.json is not of packed videos"):
        pack_videos(listing, tmp_path, SETTINGS, overwrite=True)
    assert (tmp_path / "index").exists()


def test_other_names_of_classes_and_splits_are_another_packing(tmp_path):
    for name in "ab":
        write_video(tmp_path / f"{name}.mp4", numbered_frames(4))
    data, out = tmp_path / "list.csv", tmp_path / "out"
    header = "path,label,split\n"
    data.write_text(f"{header}a.mp4,walk,train\nb.mp4,run,test\n")
    pack_videos(read_listing(data), out, SETTINGS, workers=1)
    for changed in ("a.mp4,run,train\nb.mp4,walk,test", "a.mp4,walk,test\nb.mp4,run,"):
        data.write_text(header + changed.rstrip(",") + "\n")
        with pytest.raises(UserError, match="packed from others or in another way"):
            pack_videos(read_listing(data), out, SETTINGS, workers=1)


def test_packed_videos_can_be_listed(source, packed, tmp_path):
    paths = [load_manifest(packed).path(k) for k in range(2)]
    (tmp_path / "list.csv").write_text("".join(f"{path},a\n" for path in paths))
    assert [load_manifest(tmp_path / "list.csv").path(k) for k in range(2)] == paths
    gone = paths[1].replace("shard-", "gone-")
    (tmp_path / "list.csv").write_text(f"{paths[0]},a\n{gone},a\n")
    with pytest.raises(UserError, match="line 2: .*gone-.* does not exist"):
        load_manifest(tmp_path / "list.csv")


def test_a_process_that_is_killed_is_one_line(source, tmp_path):
    with pytest.raises(UserError, match="a process that packed was killed"):
        pack_videos(
            *(read_listing(source), tmp_path / "out", SETTINGS),
            workers=2,
            initializer=_kill_this_process,
        )


def _kill_this_process():
    os.kill(os.getpid(), signal.SIGKILL)


def test_overwriting_replaces_another_packing(source, tmp_path):
    for videos_per_shard in (2, 8):
        settings = PackSettings(videos_per_shard=videos_per_shard, short_side=16)
        pack_videos(
            read_listing(source),
            tmp_path,
            settings,
            workers=1,
            max_bad_share=0.2,
            overwrite=True,
        )
    assert len(list(tmp_path.glob("*.tfrecord"))) == 1


def test_overwriting_mends_a_damaged_packing(source, tmp_path):
    listing, again = read_listing(source), {"workers": 1, "max_bad_share": 0.2}
    pack_videos(listing, tmp_path, SETTINGS, **again)
    (tmp_path / "pack.json").write_text("{")
    with pytest.raises(UserError, match="pack.json: is damaged"):
        pack_videos(listing, tmp_path, SETTINGS, **again)
    assert pack_videos(listing, tmp_path, SETTINGS, overwrite=True, **again)["complete"]


def test_overwriting_leaves_the_files_of_others(source, tmp_path, caplog):
    pack_videos(read_listing(source), tmp_path, SETTINGS, max_bad_share=0.2, workers=1)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".shard-00000-of-00003.1.partial.tfrecord").touch()
    again = {"workers": 1, "max_bad_share": 0.2, "overwrite": True}
    pack_videos(read_listing(source), tmp_path, PackSettings(quality=50), **again)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert f"{tmp_path}: kept what is no packing's: notes.txt" in caplog.text
    assert {path.name for path in tmp_path.iterdir()} == {
        *("index", "notes.txt", "pack.json"),
        *(f"shard-00000-of-00001.{end}" for end in ("index", "json", "tfrecord")),
    }


def test_an_overwriting_that_is_killed_is_no_packing(source, tmp_path, monkeypatch):
    listing = read_listing(source)
    pack_videos(listing, tmp_path, SETTINGS, max_bad_share=0.2, workers=1)
    monkeypatch.setattr(files, "remove_leftovers", _kill)
    with pytest.raises(KeyboardInterrupt):
        pack_videos(listing, tmp_path, SETTINGS, overwrite=True)
    with pytest.raises(UserError, match="was not packed to the end"):
        load_manifest(tmp_path)
    with pytest.raises(UserError, match="in another way.*--overwrite"):
        pack_videos(listing, tmp_path, SETTINGS)


def _kill(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("inside", ["the folder", "a shard", "a video", "the list"])
def test_a_folder_is_never_packed_onto_itself(
    source, packed, tmp_path, monkeypatch, inside, overwrite
):
    monkeypatch.chdir(tmp_path)
    out = Path(shutil.copytree(packed, "copy"))
    data = Path("list.csv")
    if inside == "the folder":
        data = Path("link")
        data.symlink_to(out)
    elif inside == "a shard":
        data.write_text(f"{tmp_path / load_manifest(out).path(0)},a\n")
    elif inside == "a video":
        (out / "a.mp4").write_bytes((source.parent / "a" / "v 0.mp4").read_bytes())
        data.write_text("copy/a.mp4,a\n")
    else:
        data = Path("copy/list.csv")
        data.write_text(f"{source.parent / 'a' / 'v 0.mp4'},a\n")
    before = {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file()}
    listing = read_listing(data)
    with pytest.raises(UserError, match=r"copy: holds what is to be packed \(.+\)\. N"):
        pack_videos(listing, out, PackSettings(fps=6.0), overwrite=overwrite, workers=1)
    assert before == {path: path.read_bytes() for path in before}


def test_beside_its_source_a_folder_may_be_replaced(packed, tmp_path):
    data = Path(shutil.copytree(packed, tmp_path / "copy"))
    for fps in (5.0, 10.0):
        pack = pack_videos(
            read_listing(data),
            data / "slower",
            PackSettings(fps=fps),
            overwrite=True,
            workers=1,
        )
    assert pack["settings"]["fps"] == 10.0


def test_shards_are_written_on_this_machine(source):
    with pytest.raises(UserError, match="s3://bucket/packed: is an address"):
        pack_videos(read_listing(source), "s3://bucket/packed", SETTINGS)


@pytest.fixture
def damaged(packed, tmp_path):
    """A copy of the packed folder whose shards cannot be kept in memory."""
    return Path(shutil.copytree(packed, tmp_path / "copy"))


def test_a_damaged_record_names_its_shard(damaged):
    shard = damaged / "shard-00001-of-00003.tfrecord"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    results = scan_videos(load_manifest(damaged), thorough=False)
    (bad,) = [result for result in results if not result.ok]
    assert f"{shard}#1/" in bad.path and "damaged (wrong checksum)" in bad.reason


def test_a_shard_cut_short_or_missing_names_itself(damaged):
    manifest = load_manifest(damaged)
    shard = damaged / "shard-00000-of-00003.tfrecord"
    os.truncate(shard, shard.stat().st_size - 1000)
    with pytest.raises(VideoError, match="shard-00000.*#2/.*is cut short"):
        open_video_reader(manifest.path(5))
    shard.unlink()
    with pytest.raises(VideoError, match="shard-00000-of-00003.tfrecord: No such file"):
        open_video_reader(manifest.path(0))
    (damaged / "shard-00002-of-00003.index").write_bytes(b"")
    with pytest.raises(
        VideoError, match="shard-00002-of-00003.index: the index of"
    ) as caught:
        open_video_reader(manifest.path(2))
    assert caught.value.path == manifest.path(2)  # the error of this video
    with pytest.raises(VideoError, match="the shard has 3 records only"):
        open_video_reader(manifest.path(1).replace("#0/", "#3/"))


def test_damaged_folders(damaged, tmp_path):
    (damaged / "index" / "labels.npy").write_bytes(b"")
    with pytest.raises(UserError, match="index: the index is missing or damaged"):
        load_manifest(damaged)
    pack = json.loads((damaged / "pack.json").read_text())
    (damaged / "pack.json").write_text(json.dumps(pack | {"format": 99}))
    with pytest.raises(UserError, match="has format 99, this version reads 1"):
        load_manifest(damaged)
    (damaged / "pack.json").write_text("{")
    with pytest.raises(UserError, match="pack.json: is damaged"):
        load_manifest(damaged)
    with pytest.raises(UserError, match="is no packed folder"):
        load_manifest(tmp_path, layout="packed")


def test_records_that_are_none():
    for wrong in (b"\xff\xff", b""):
        with pytest.raises(ValueError, match="no packed video"):
            PackedRecord.from_bytes(wrong)


def test_too_many_bad_videos_stop_the_packing(tmp_path):
    for k in range(4):
        (tmp_path / f"{k}.mp4").write_bytes(b"garbage" * k)
    listing = read_listing(tmp_path)
    with pytest.raises(UserError, match="4 of 4 videos cannot be read"):
        pack_videos(listing, tmp_path / "out", workers=1)
    with pytest.raises(UserError, match="none of the videos could be read"):
        pack_videos(listing, tmp_path / "out", workers=1, max_bad_share=1.0)


def test_names_cannot_lead_out_of_the_folder(tmp_path):
    video = write_video(tmp_path / "a.mp4", numbered_frames(3))
    (tmp_path / "lists").mkdir()
    data = tmp_path / "lists" / "list.csv"
    data.write_text(f"../a.mp4,x\n{video},y\n")
    pack_videos(read_listing(data), tmp_path / "out", workers=1)
    names = [path.partition("#")[2] for path in load_manifest(tmp_path / "out").paths]
    assert names == ["0/a.mp4", f"1{video}"]


def test_a_video_in_several_splits_is_packed_once(tmp_path):
    for name in ("A/v1", "A/v2"):
        (tmp_path / "A").mkdir(exist_ok=True)
        write_video(tmp_path / f"{name}.avi", numbered_frames(3), codec="mpeg4")
    (tmp_path / "trainlist01.txt").write_text("A/v1.avi 1\n")
    (tmp_path / "testlist01.txt").write_text("A/v2.avi\n")
    (tmp_path / "testlist02.txt").write_text("A/v1.avi\n")
    pack = pack_videos(read_listing(tmp_path), tmp_path / "out", workers=1)
    assert pack["videos"] == 2
    assert list_splits(tmp_path / "out") == ("train", "test", "test2")
    train, test2 = (
        load_manifest(tmp_path / "out", split=s) for s in ("train", "test2")
    )
    assert train.paths == test2.paths
    assert len(load_manifest(tmp_path / "out")) == 2
    (tmp_path / "testlist02.txt").write_text("A/v1.avi\nA/v1.avi\n")
    with pytest.raises(UserError, match="A/v1.avi is listed 2 times"):
        pack_videos(read_listing(tmp_path), tmp_path / "out2", workers=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fps": 0.0}, "`fps` must be a positive number"),
        ({"short_side": 0}, "`short_side` must be at least 1"),
        ({"videos_per_shard": 0}, "`videos_per_shard` must be at least 1"),
        ({"quality": 101}, r"`quality` must lie in \[1, 100\]"),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(UserError, match=message):
        PackSettings(**arguments)


def test_bad_workers(source, tmp_path):
    with pytest.raises(ValueError, match="`workers` must be at least 1"):
        pack_videos(read_listing(source), tmp_path, workers=0)


def test_augmented_clips_at_any_scale(packed):
    spec = ClipSpec(num_frames=2, size=16)
    clips = TrainingClips(
        load_manifest(packed), spec, seed=0, augmentation=Augmentation()
    )
    assert {clips(k)[0].shape for k in range(14)} == {(3, 16, 16, 3)}


def test_a_full_disk_is_told_in_one_line(source, tmp_path, monkeypatch):
    real = tf.io.TFRecordWriter
    monkeypatch.setattr(tf.io, "TFRecordWriter", lambda path: real("/dev/full"))
    videos = [source.parent / "a" / "v 0.mp4", source.parent / "b" / "v 1.mp4"]
    sources = [Source(str(path), path.name, "a") for path in videos]
    with pytest.raises(UserError) as raised:
        write_shard(tmp_path / "shard", sources, SETTINGS)
    assert str(raised.value) == (
        f"{tmp_path}/shard.tfrecord: cannot be written: No space left on device."
    )
    assert not list(tmp_path.iterdir())
