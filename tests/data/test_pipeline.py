import subprocess
import sys
import textwrap

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_dynamonet.data.bad_files import BadFileLog  # noqa: E402
from keras_dynamonet.data.clip_sampling import ClipSpec  # noqa: E402
from keras_dynamonet.data.clip_sources import TrainingClips  # noqa: E402
from keras_dynamonet.data.pipeline import (  # noqa: E402
    evaluation_dataset,
    training_dataset,
)
from keras_dynamonet.data.transforms import Augmentation  # noqa: E402
from keras_dynamonet.errors import UserError  # noqa: E402

SPEC = ClipSpec(num_frames=2, size=16)


def take(dataset: tf.data.Dataset, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(dataset.take(count).as_numpy_iterator())


def test_shapes_are_static_and_batches_cross_epochs(eight_videos):
    dataset = training_dataset(eight_videos, SPEC, batch_size=3, seed=0)
    clips, labels = dataset.element_spec
    assert clips == tf.TensorSpec((3, 3, 16, 16, 3), tf.uint8)
    assert labels == tf.TensorSpec((3,), tf.int32)
    batches = take(dataset, 8)  # three epochs
    counts = np.bincount(np.concatenate([labels for _, labels in batches]) + 1)
    assert counts.tolist() == [3, 6, 6, 6, 3]


def test_same_seed_same_stream_whatever_the_workers(eight_videos):
    streams = [
        take(
            training_dataset(eight_videos, SPEC, batch_size=4, seed=7, workers=workers),
            5,
        )
        for workers in (1, 4)
    ]
    for (clips, labels), (clips_again, labels_again) in zip(*streams, strict=True):
        np.testing.assert_array_equal(clips, clips_again)
        np.testing.assert_array_equal(labels, labels_again)
    other = take(training_dataset(eight_videos, SPEC, batch_size=4, seed=8), 5)
    assert any(np.any(a != b) for (a, _), (b, _) in zip(streams[0], other, strict=True))


@pytest.mark.parametrize("start", [1, 3, 10])
def test_starting_at_a_step_is_skipping_to_it(eight_videos, start):
    whole = take(training_dataset(eight_videos, SPEC, batch_size=3, seed=0), start + 2)
    resumed = training_dataset(
        eight_videos, SPEC, batch_size=3, seed=0, start_step=start
    )
    for (clips, labels), (clips_again, labels_again) in zip(
        whole[start:], take(resumed, 2), strict=True
    ):
        np.testing.assert_array_equal(clips, clips_again)
        np.testing.assert_array_equal(labels, labels_again)


def test_the_stream_is_that_of_the_plain_function(eight_videos):
    plain = TrainingClips(eight_videos, SPEC, seed=3)
    batches = take(training_dataset(eight_videos, SPEC, batch_size=4, seed=3), 2)
    for step, (clips, labels) in enumerate(batches):
        for k in range(4):
            clip, label = plain(4 * step + k)
            np.testing.assert_array_equal(clips[k], clip)
            assert labels[k] == label


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_read_disjoint_parts_of_each_step(eight_videos, processes):
    whole = take(training_dataset(eight_videos, SPEC, batch_size=4, seed=3), 5)[1:]
    parts = [
        take(
            training_dataset(
                eight_videos,
                SPEC,
                batch_size=4,
                seed=3,
                start_step=1,
                process_index=index,
                process_count=processes,
            ),
            4,
        )
        for index in range(processes)
    ]
    for step, (clips, labels) in enumerate(whole):
        shares = [part[step] for part in parts]
        assert {len(clips) for clips, _ in shares} == {4 // processes}
        np.testing.assert_array_equal(np.concatenate([c for c, _ in shares]), clips)
        np.testing.assert_array_equal(np.concatenate([n for _, n in shares]), labels)


def test_original_error_survives_tf_data(with_bad_files):
    log = BadFileLog()
    dataset = training_dataset(
        with_bad_files, SPEC, batch_size=4, seed=0, bad_file_log=log
    )
    with pytest.raises(tf.errors.OpError):
        take(dataset, 6)
    with pytest.raises(UserError, match="of 12 videos cannot be read, more than"):
        log.raise_if_failed()


def test_bad_files_are_replaced_in_the_stream(with_bad_files):
    streams = []
    for _ in range(2):
        log = BadFileLog()
        dataset = training_dataset(
            with_bad_files,
            SPEC,
            batch_size=4,
            seed=0,
            augmentation=Augmentation.none(),
            max_bad_share=0.5,
            bad_file_log=log,
        )
        streams.append(np.concatenate([clips for clips, _ in take(dataset, 3)]))
        log.raise_if_failed()
        assert set(log.reasons) == {with_bad_files.path(k) for k in range(8, 12)}
    np.testing.assert_array_equal(*streams)
    assert streams[0].mean(axis=(1, 2, 3, 4)).min() > 15  # no black frames


def test_evaluation_is_in_order_and_complete(eight_videos):
    dataset = evaluation_dataset(
        eight_videos, SPEC, batch_size=5, num_clips=2, num_crops=1
    )
    batches = list(dataset.as_numpy_iterator())
    assert [len(clips) for clips, _, _ in batches] == [5, 5, 5, 1]
    videos = np.concatenate([videos for _, _, videos in batches])
    labels = np.concatenate([labels for _, labels, _ in batches])
    assert videos.tolist() == np.repeat(range(8), 2).tolist()
    assert labels.tolist() == np.repeat(eight_videos.labels, 2).tolist()
    clips = np.concatenate([clips for clips, _, _ in batches])
    assert clips.shape == (16, 3, 16, 16, 3)
    levels = clips[::2].mean(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(levels, 26 + 30 * np.arange(8), atol=1.0)


def test_evaluation_drops_bad_files(with_bad_files):
    log = BadFileLog()
    shuffled = with_bad_files.subset([8, 0, 9, 1, 2])
    dataset = evaluation_dataset(
        shuffled, SPEC, batch_size=4, max_bad_share=0.5, bad_file_log=log
    )
    ((clips, labels, videos),) = dataset.as_numpy_iterator()
    assert videos.tolist() == [1, 3, 4] and labels.tolist() == [0, 1, 2]
    assert len(clips) == 3 and len(log) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"start_step": -1}, "`start_step` must not be negative"),
        ({"workers": 0}, "`workers` must be at least 1 or None"),
        ({"process_count": 3}, "`process_count` must be positive and divide"),
        ({"process_index": 1}, "`process_index` must lie in"),
    ],
)
def test_bad_arguments(eight_videos, arguments, message):
    with pytest.raises(ValueError, match=message):
        training_dataset(eight_videos, SPEC, **{"batch_size": 2, "seed": 0} | arguments)
    if arguments.keys() <= {"batch_size", "workers"}:
        with pytest.raises(ValueError, match=message):
            evaluation_dataset(eight_videos, SPEC, **{"batch_size": 2} | arguments)


def test_program_ends_while_the_stream_reads_ahead(eight_videos):
    """The interpreter must not lock up over the threads of an endless stream."""
    program = f"""
        from keras_dynamonet.data import ClipSpec, load_manifest, training_dataset
        manifest = load_manifest({str(eight_videos.root)!r}, labelled=False)
        dataset = training_dataset(
            manifest, ClipSpec(num_frames=8, size=64), batch_size=8, seed=0
        )
        iterator = iter(dataset)
        next(iterator)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
