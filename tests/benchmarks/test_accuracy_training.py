from dataclasses import replace

import numpy as np
import pytest

from benchmarks.accuracy import training
from benchmarks.accuracy.batches import training_batches
from benchmarks.accuracy.clips import LabelledClips
from benchmarks.accuracy.experiments import ClipSet, Experiment

EXPERIMENT = Experiment(
    name="tiny",
    group="sources",
    title="tiny",
    clips=ClipSet(size=16, train=4, test=2, frames=17),
    network={"kernel_size": 3},
    backbone={"widths": (4, 4, 4, 4), "stem_width": 4, "cardinality": 1},
    epochs=1,
    probes=True,
)


@pytest.fixture(autouse=True)
def clips(monkeypatch):
    """Noise in place of rendered people: 32 clips of 8 classes, and 16 of the test."""

    def load(settings, cache):
        rng = np.random.default_rng(0)
        return {
            split: LabelledClips(
                rng.integers(0, 256, (count, 17, 16, 16, 3)).astype("uint8"),
                np.arange(count, dtype="int32") % 8,
            )
            for split, count in (("train", 32), ("test", 16))
        }

    monkeypatch.setattr(training, "load_clips", load)


@pytest.mark.long
def test_a_run_is_a_function_of_its_seed(tmp_path):
    trainer = training.Trainer(EXPERIMENT, tmp_path)
    first, second, again = (trainer.run(seed) for seed in (0, 1, 0))
    for numbers in (first, second, again):
        assert np.isfinite(list(numbers.values())).all()
        del numbers["cpu_seconds"]
    assert first == pytest.approx(again, abs=1e-6)
    assert first != pytest.approx(second, abs=1e-6)
    assert {"accuracy", "psnr_unseen_model", "probe_both", "recall_10_dmr"} < set(first)


@pytest.mark.long
def test_the_backbone_alone_predicts_no_frames(tmp_path):
    experiment = replace(EXPERIMENT, network=None)
    numbers = training.Trainer(experiment, tmp_path).run(0)
    assert "probe_feature" in numbers
    assert not [name for name in numbers if "psnr" in name or "dmr" in name]


@pytest.mark.parametrize(("unlabelled", "clips_seen"), [(False, 8), (True, 32)])
def test_few_labels(tmp_path, unlabelled, clips_seen):
    few = replace(EXPERIMENT, label_share=0.25, unlabelled=unlabelled)
    trainer = training.Trainer(few, tmp_path)
    data = trainer._labelled(trainer._data["train"], seed=0)
    assert len(data) == clips_seen
    assert np.count_nonzero(data.labels >= 0) == 8
    batches = training_batches(data, num_frames=3, batch_size=4, seed=0)
    labels = [next(batches)[1] for _ in range(3)]
    assert np.count_nonzero(np.array(labels) >= 0, axis=1).tolist() == (
        [2, 2, 2] if unlabelled else [4, 4, 4]
    )
