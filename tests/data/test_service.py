import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_dynamonet.cli.failures import describe_failure  # noqa: E402
from keras_dynamonet.data.bad_files import BadFileLog  # noqa: E402
from keras_dynamonet.data.clip_sampling import ClipSpec  # noqa: E402
from keras_dynamonet.data.clip_sources import TrainingClips  # noqa: E402
from keras_dynamonet.data.decoding import read_frames  # noqa: E402
from keras_dynamonet.data.graph_clips import graph_clip_loader  # noqa: E402
from keras_dynamonet.data.layouts import read_listing  # noqa: E402
from keras_dynamonet.data.manifest import Manifest, load_manifest  # noqa: E402
from keras_dynamonet.data.packing import pack_videos  # noqa: E402
from keras_dynamonet.data.service import service_dataset  # noqa: E402
from keras_dynamonet.data.shard_writing import PackSettings  # noqa: E402
from keras_dynamonet.data.transforms import Augmentation  # noqa: E402
from keras_dynamonet.errors import UserError  # noqa: E402
from keras_dynamonet.training.data_errors import original_errors  # noqa: E402

PLAIN = Augmentation.none()
SPEC = ClipSpec(num_frames=2, size=16)


@pytest.fixture(scope="module")
def packed(eight_videos, tmp_path_factory):
    """The eight videos in three shards; a label for each would be too many."""
    root = tmp_path_factory.mktemp("packed")
    listed = "".join(
        f"{eight_videos.path(k)},{'abcd'[k % 4]}\n" for k in range(len(eight_videos))
    )
    (root / "list.csv").write_text(listed)
    settings = PackSettings(videos_per_shard=3)
    pack_videos(read_listing(root / "list.csv"), root / "out", settings, workers=1)
    return load_manifest(root / "out")


def source_of(clip: np.ndarray) -> int:
    return int((clip.mean() - 19) // 30)


def loader(packed, spec, **arguments):
    return tf.function(
        graph_clip_loader(
            packed, spec, **{"seed": 0, "augmentation": PLAIN} | arguments
        ),
        input_signature=[tf.TensorSpec([], tf.int64)],
    )


def test_every_video_once_an_epoch_in_another_order(packed):
    load = loader(packed, SPEC)
    orders = []
    for epoch in range(2):
        samples = [load(8 * epoch + k) for k in range(8)]
        order = [source_of(clip.numpy()) for clip, _ in samples]
        assert sorted(order) == list(range(8))
        assert [int(label) for _, label in samples] == packed.labels[order].tolist()
        orders.append(order)
    assert orders[0] != orders[1]


def test_labelled_videos_come_again_until_they_are_half(packed):
    labels = [0, -1, -1, 1, -1, -1, -1, -1]
    videos = Manifest(packed.root, packed.paths, labels, ("walk", "run"))
    load = loader(videos, SPEC, labelled_share=0.5)
    samples = [load(number) for number in range(24)]
    sources = [source_of(clip.numpy()) for clip, _ in samples]
    assert [int(label) for _, label in samples] == videos.labels[sources].tolist()
    others, labelled = sources[::2], sources[1::2]
    assert sorted(others[:6]) == sorted(others[6:]) == [1, 2, 4, 5, 6, 7]
    epochs = [labelled[start : start + 2] for start in range(0, 12, 2)]
    assert {tuple(epoch) for epoch in epochs} == {(0, 3), (3, 0)}


def test_workers_find_the_shards_from_another_folder(packed, tmp_path, monkeypatch):
    monkeypatch.chdir(packed.root.parent)
    load = loader(load_manifest(packed.root.name), SPEC)
    monkeypatch.chdir(tmp_path)
    clip, label = load(0)
    assert clip.shape == (SPEC.frames_per_clip, 16, 16, 3)
    expected, expected_label = loader(packed, SPEC)(0)
    np.testing.assert_array_equal(clip, expected)
    assert label == expected_label and expected.numpy().any()


def test_a_shard_that_a_service_cannot_read_is_one_line(tmp_path):
    gone = tf.data.Dataset.range(1).map(lambda _: tf.io.read_file(f"{tmp_path}/gone"))
    step = tf.function(lambda iterator: next(iterator))
    with (
        pytest.raises(UserError, match="gone; No such file or directory") as caught,
        original_errors(BadFileLog()),
    ):
        step(iter(gone))
    assert "\n" not in str(caught.value) and "node" not in str(caught.value)


def test_what_a_kernel_does_not_find_is_no_file():
    """TensorFlow's words where the memory of a GPU does not suffice for cuDNN."""
    error = tf.errors.NotFoundError(None, None, "No algorithm worked!\nALLOC_FAILED")
    with (
        pytest.raises(tf.errors.NotFoundError) as caught,
        original_errors(BadFileLog()),
    ):
        raise error
    assert "the memory does not suffice" in describe_failure(caught.value)


def test_samples_are_functions_of_seed_and_number(packed):
    vary = {"augmentation": Augmentation()}
    first, again = loader(packed, SPEC, **vary), loader(packed, SPEC, **vary)
    other = loader(packed, SPEC, seed=1, **vary)
    for number in (5, 30, 5):
        np.testing.assert_array_equal(first(number)[0], again(number)[0])
    assert any(np.any(first(k)[0] != other(k)[0]) for k in range(4))


@pytest.mark.parametrize("short_videos", ["loop", "hold"])
@pytest.mark.parametrize("num_frames", [11, 20])
def test_clips_without_a_choice_are_those_of_numpy(packed, num_frames, short_videos):
    """Videos of 12 frames leave one start for 12, and are too short for 21."""
    spec = ClipSpec(num_frames=num_frames, size=16, short_videos=short_videos)
    load = loader(packed, spec)
    plain = TrainingClips(packed, spec, seed=0, augmentation=PLAIN)
    expected = {source_of(clip): clip for clip, _ in map(plain, range(8))}
    for sample in range(8):
        clip = load(sample)[0].numpy()
        np.testing.assert_allclose(clip.astype(int), expected[source_of(clip)], atol=3)


def test_starts_vary_over_the_whole_video(packed):
    load = loader(packed.subset([3]), SPEC)
    levels = read_frames(packed.path(3), (np.arange(12) + 0.5) / 10).mean((1, 2, 3))
    means = [load(epoch)[0].numpy()[0].mean() for epoch in range(80)]
    starts = {int(np.abs(levels - mean).argmin()) for mean in means}
    assert starts == set(range(10))


def test_a_service_gives_every_sample_once(packed, service):
    dataset = service_dataset(
        packed, SPEC, service=service, batch_size=4, seed=0, augmentation=PLAIN
    )
    assert dataset.element_spec[0] == tf.TensorSpec((4, 3, 16, 16, 3), tf.uint8)
    clips, labels = zip(*dataset.take(8).as_numpy_iterator(), strict=True)
    sources = [source_of(clip) for clip in np.concatenate(clips)]
    assert packed.labels[sources].tolist() == np.concatenate(labels).tolist()
    # Two workers finish in an order of their own, a few samples apart.
    counts = np.bincount(sources, minlength=8)
    assert counts.sum() == 32 and counts.min() >= 3 and counts.max() <= 5


def test_processes_and_steps_share_the_samples_out(packed, service):
    """With as many steps as make whole epochs, each video comes as often."""
    sources = []
    for process in range(2):
        dataset = service_dataset(
            packed,
            SPEC,
            service=service,
            batch_size=8,
            seed=0,
            augmentation=PLAIN,
            start_step=3,
            process_index=process,
            process_count=2,
        )
        clips, _ = next(dataset.as_numpy_iterator())
        assert clips.shape == (4, 3, 16, 16, 3)
        sources.extend(source_of(clip) for clip in clips)
    assert len(sources) == 8 and len(set(sources)) >= 6


def test_what_a_service_cannot_do(packed, eight_videos, service):
    def make(manifest, spec=SPEC, **arguments):
        arguments = {"service": service, "batch_size": 2, "seed": 0} | arguments
        return service_dataset(manifest, spec, **arguments)

    with pytest.raises(UserError, match="v0.mp4: a data service reads packed videos"):
        make(eight_videos)
    with pytest.raises(UserError, match="cannot leave out short videos"):
        make(packed, ClipSpec(num_frames=2, size=16, short_videos="skip"))
    with pytest.raises(UserError, match="write grpc://HOST:PORT"):
        make(packed, service="localhost:5000")
    with pytest.raises(UserError, match="write grpc://HOST:PORT"):
        make(packed, service="grpc://localhost:many")
    with pytest.raises(UserError, match="grpc://127.0.0.1:9: no data service answers"):
        make(packed, service="grpc://127.0.0.1:9")
    with pytest.raises(ValueError, match="`start_step` must not be negative"):
        make(packed, start_step=-1)
