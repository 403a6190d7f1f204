"""Runs of an experiment: from fresh weights to numbers."""

import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks.accuracy.batches import held_out_clips, keep_labels, training_batches
from benchmarks.accuracy.clips import LabelledClips, load_clips
from benchmarks.accuracy.experiments import Experiment, pretraining_key
from benchmarks.accuracy.footage import Footage, load_footage
from benchmarks.accuracy.measures import frame_quality, knowledge
from keras_dynamonet.files import atomic_path
from keras_dynamonet.models import DynamoNet, ResNeXt3D
from keras_dynamonet.models.presets import preset_config
from keras_dynamonet.training.schedules import WarmupCosine

PRESET = "nano-16f"
NUM_FRAMES = 16
BATCH_SIZE = 16
LEARNING_RATE = 2e-3
WARMUP_STEPS = 30
WEIGHT_DECAY = 0.02
DROPOUT = 0.3
QUALITY_CLIPS = 48
"""Held-out clips to measure frame prediction on, spread over the classes."""


class Trainer:
    """Trains and judges the network of one experiment, seed after seed.

    The network is traced once: tracing takes as long as some epochs.

    Args:
        experiment: What to do.
        cache: Folder of the rendered clips and of pre-trained weights.
    """

    def __init__(self, experiment: Experiment, cache: Path):
        load = load_footage if isinstance(experiment.clips, Footage) else load_clips
        self._data = load(experiment.clips, cache)
        self._cache = cache
        self._experiment = experiment
        self._model = make_network(experiment)
        self._compiled_for: dict | None = None
        self._forward: dict[str, tf.types.experimental.GenericFunction] = {}

    def run(self, seed: int) -> dict[str, float]:
        """Trains from fresh weights.

        Args:
            seed: Of weights, data order and the choice of labels.

        Returns:
            Numbers by name; accuracies and recalls in [0, 1], PSNR in dB.
        """
        keras.utils.set_random_seed(seed)
        fresh = make_network(self._experiment)
        for variable, value in zip(_state(self._model), _state(fresh), strict=True):
            variable.assign(value)
        seconds = self._pretrain(seed) if self._experiment.pretrain_epochs else 0.0
        started, train = time.process_time(), self._data["train"]
        self._fit(self._labelled(train, seed), self._experiment.epochs, seed, {})
        numbers = {
            "cpu_seconds": seconds + time.process_time() - started,
            "parameters": float(self._model.count_params()),
        }
        return numbers | self._judge()

    def _pretrain(self, seed: int) -> float:
        """Trains on frames alone, or takes the weights of an earlier such training.

        Experiments that differ in their labels only share it.

        Returns:
            The processor time that it takes, or took.
        """
        key = pretraining_key(self._experiment)
        path = self._cache / f"pretrained-{key}-{seed}.npz"
        # How losses are weighed is no part of what was learnt.
        state = _state(self._model, without=self._model.loss_weighting.variables)
        if not path.exists():
            started = time.process_time()
            epochs = self._experiment.pretrain_epochs
            frames_alone = {"action_loss_weight": 0.0}
            self._fit(self._data["train"], epochs, seed + 1000, frames_alone)
            seconds = time.process_time() - started
            values = [variable.numpy() for variable in state]
            with atomic_path(path) as temporary, open(temporary, "wb") as file:
                np.savez(file, *values, seconds=seconds)
        with np.load(path) as file:
            for index, variable in enumerate(state):
                variable.assign(file[f"arr_{index}"])
            return float(file["seconds"])

    def _labelled(self, data: LabelledClips, seed: int) -> LabelledClips:
        """The clips of the training, those without a label at -1."""
        experiment = self._experiment
        if experiment.label_share == 1:
            return data
        labels = keep_labels(data.labels, experiment.label_share, seed)
        if experiment.unlabelled:
            return LabelledClips(data.clips, labels)
        return LabelledClips(data.clips[labels >= 0], labels[labels >= 0])

    def _fit(self, data, epochs, seed, losses):
        # As many steps with few labels as with all.
        steps = epochs * len(self._data["train"]) // BATCH_SIZE
        self._compile(steps, losses)
        frames = self._num_train_frames
        size = self._experiment.clips.size
        batches = training_batches(
            data,
            num_frames=frames,
            batch_size=BATCH_SIZE,
            seed=seed,
            order=self._experiment.order,
        )
        dataset = tf.data.Dataset.from_generator(
            lambda: batches,
            output_signature=(
                tf.TensorSpec((BATCH_SIZE, frames, size, size, 3), tf.uint8),
                tf.TensorSpec((BATCH_SIZE,), tf.int32),
            ),
        )
        self._model.fit(dataset, steps_per_epoch=steps, verbose=0)

    @property
    def _num_train_frames(self):
        return NUM_FRAMES + (self._experiment.network is not None)

    def _compile(self, steps, losses):
        """Compiles, or takes the optimizer of the same losses back to its start."""
        wanted = {"steps": steps, **self._experiment.losses, **losses}
        if wanted == self._compiled_for:
            for variable in self._model.optimizer.variables:
                variable.assign(keras.ops.zeros_like(variable))
            return
        schedule = WarmupCosine(
            LEARNING_RATE, steps, warmup_steps=min(WARMUP_STEPS, steps // 4)
        )
        optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=WEIGHT_DECAY, global_clipnorm=1.0
        )
        if self._experiment.network is None:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            self._model.compile(optimizer, loss)
        else:
            self._model.compile(optimizer, **self._experiment.losses, **losses)
        self._compiled_for = wanted

    def _judge(self):
        """All numbers of the trained network on the held-out clips."""
        experiment, test = self._experiment, self._data["test"]
        clips = held_out_clips(test, NUM_FRAMES + 1, experiment.order)
        numbers, natural = {}, experiment.order == "natural"
        if experiment.clips.class_names:
            logits = self._outputs(clips, "logits")
            numbers["accuracy"] = _accuracy(logits, test.labels)
            if natural:
                shuffled = held_out_clips(test, NUM_FRAMES + 1, "shuffled")
                logits = self._outputs(shuffled, "logits")
                numbers["accuracy_shuffled_test"] = _accuracy(logits, test.labels)
        if experiment.network is not None and natural:
            shown = clips[np.linspace(0, len(clips) - 1, QUALITY_CLIPS).astype(int)]
            predicted = self._outputs(shown, "next_frames")
            numbers |= frame_quality(
                shown, predicted, self._model.kernel_size, self._model.segments
            )
        if experiment.probes:
            ends = ("feature",) if experiment.network is None else ("feature", "dmr")
            train = self._data["train"]
            known = held_out_clips(train, NUM_FRAMES + 1, experiment.order)
            numbers |= knowledge(
                {name: self._outputs(known, name) for name in ends},
                train.labels,
                {name: self._outputs(clips, name) for name in ends},
                test.labels,
            )
        return numbers

    def _outputs(self, clips, name):
        """One output of the network for clips of T + 1 frames, as an array."""
        if name not in self._forward:
            network = _with_outputs(self._model)
            self._forward[name] = tf.function(
                lambda batch: network(batch, training=False)[name],
                reduce_retracing=True,
            )
        forward, clips = self._forward[name], clips[:, :NUM_FRAMES]
        parts = [
            forward(tf.constant(clips[i : i + BATCH_SIZE])).numpy()
            for i in range(0, len(clips), BATCH_SIZE)
        ]
        return np.concatenate(parts)


def make_network(experiment: Experiment) -> keras.Model:
    """The network of an experiment with fresh weights."""
    classes = max(1, len(experiment.clips.class_names))
    config = {
        **preset_config(PRESET),
        "size": experiment.clips.size,
        **experiment.backbone,
    }
    if experiment.network is None:
        return ResNeXt3D(**config, num_classes=classes)
    options = {"dropout": DROPOUT, **experiment.network}
    return DynamoNet(ResNeXt3D(**config), classes, **options)


def _state(model, without=()):
    """Weights, and states of random generators; not the metrics, which fit resets."""
    left_out = {id(variable) for variable in (*model.metrics_variables, *without)}
    return [variable for variable in model.variables if id(variable) not in left_out]


def _with_outputs(model):
    """The network with a dictionary of outputs."""
    if isinstance(model, DynamoNet):
        return model
    feature = model.get_layer("feature").output
    return keras.Model(model.input, {"logits": model.output, "feature": feature})


def _accuracy(logits, labels):
    return float(np.mean(logits.argmax(axis=1) == labels))
