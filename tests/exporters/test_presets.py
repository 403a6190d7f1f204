"""Every preset in every format, small in width, depth and size of the frames.

Those of more than 16 frames are left to `make test-long`, and so are solved filters of
presets: the tests of each format have them.

The sizes of the table are exported by `benchmarks/export_full_size.py`.
"""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.fresh_networks import quieten_blocks
from keras_dynamonet import DynamoNet
from keras_dynamonet.exporters.calibration import share_out
from keras_dynamonet.exporters.formats import FORMATS, plan
from keras_dynamonet.exporters.job import run_jobs
from keras_dynamonet.exporters.parity import TOLERANCES, Tolerance
from keras_dynamonet.exporters.signature import OUTPUTS
from keras_dynamonet.exporters.source import ExportSource
from keras_dynamonet.models.presets import CLIP_LENGTHS, PRESETS
from tests.exporters.networks import moving_clips, randomise

PACKAGES = {
    "saved_model": (),
    "onnx": ("onnxruntime", "tf2onnx"),
    "tflite": ("ai_edge_litert",),
    "tensorrt": ("onnxruntime", "tf2onnx", "tensorrt_rtx_bindings"),
}
COMPARED, CALIBRATING = 12, 4  # clips; 12 make batches of 1, 3 and 8
# What a preset's name says stays: kind of block, stem and shortcut, strides, groups,
# STC, and the number of frames.
SMALL = {
    "blocks": (1, 1, 1, 1),
    "widths": (8, 8, 16, 16),
    "stem_width": 8,
    "size": 16,
}
# Solved filters of 5x5 taps take a file three times as long.
GENERATED = {"kernel_size": 3, "filter_source": "generated"}
# Small, they are the same networks.
SAME = {f"resnext101-{n}f": f"resnext50-{n}f" for n in CLIP_LENGTHS}
# Of 5x5 taps, the default, where nothing else is said.
SOLVED = [
    ("nano-16f", {"dtype": "mixed_bfloat16", "segments": 2, "kernel_size": 3}),
    ("resnet18-32f", {}),
    ("resnext101-32f", {}),
    ("stc-resnext101-64f", {}),
]
LONG = {name for name in PRESETS if not name.endswith("-16f")}
# Random weights put many clips between two classes, where rounding decides.
ROUNDED = {
    "float16": replace(TOLERANCES["float16"], top1=0.0),
    "int8": Tolerance(cosine=0.97, top1=0.0),
}


def small_network(preset, blocks=SMALL["blocks"], **options):
    architecture = PRESETS[preset]
    backbone = {**SMALL, "blocks": blocks}
    backbone["cardinality"] = min(architecture.get("cardinality", 1), 4)
    if "stc_ratio" in architecture:
        backbone["stc_ratio"] = 4
    return DynamoNet.from_preset(preset, num_classes=5, backbone=backbone, **options)


def small_source(preset, **options):
    network = small_network(preset, **options)
    quieten_blocks(network.backbone)  # many would drown the clip in noise
    randomise(network)
    clips = moving_clips(COMPARED + CALIBRATING, network.num_frames, 16)
    return ExportSource(network, share_out(clips, COMPARED))


def export(source, formats, precisions, folder):
    """Every output of every artefact agrees with Keras; the reports."""
    jobs = plan(formats, precisions)
    done = run_jobs(source, jobs, folder, options={"compute_capabilities": ("8.9",)})
    assert done.errors == ()
    assert len(done.results) == len(done.reports) == len(jobs)
    for report in done.reports:
        assert report
        assert {entry.output for entry in report.entries} >= set(OUTPUTS)
    assert np.ptp(source.expected["probabilities"]) > 0.01
    return done.reports


def installed(*formats):
    return [
        name for name in formats if all(map(importlib.util.find_spec, PACKAGES[name]))
    ]


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(name, marks=pytest.mark.long if name in LONG else ())
        for name in PRESETS
        if name not in SAME
    ],
)
def test_every_format(preset, tmp_path):
    export(
        small_source(preset, **GENERATED), installed(*PACKAGES), ["float32"], tmp_path
    )


@pytest.mark.long
@pytest.mark.parametrize(("preset", "options"), SOLVED)
def test_solved_filters(preset, options, tmp_path, monkeypatch):
    """Over as many frames as the preset has; and in INT8.

    As TFLite they convert slowly: float16 is left to the tests of that format.
    """
    for precision, tolerance in ROUNDED.items():
        monkeypatch.setitem(TOLERANCES, precision, tolerance)
    source = small_source(preset, **options)
    for name, precisions in {
        "onnx": ["float32", "float16", "int8"],
        "tflite": ["float32", "int8"],
    }.items():
        if installed(name):
            export(source, [name], precisions, tmp_path)


@pytest.mark.long
def test_as_many_layers_as_resnext101_has(tmp_path, monkeypatch):
    """Narrow ones: runtimes refuse, or leave to slow kernels, by kind and by depth."""
    for precision, tolerance in ROUNDED.items():
        monkeypatch.setitem(TOLERANCES, precision, tolerance)
    source = small_source("resnext101-16f", blocks=(3, 4, 23, 3), **GENERATED)
    for name in installed("onnx", "tflite"):
        for report in export(source, [name], ["float32", "int8"], tmp_path):
            assert "without" not in report.runtime  # XNNPACK


def test_no_format_is_left_out():
    assert set(PACKAGES) == set(FORMATS)


def test_presets_left_out_are_the_same_networks():
    for names in SAME.items():
        configs = [small_network(name).backbone.get_config() for name in names]
        for config in configs:
            del config["name"], config["depth"]  # `blocks` are given
        assert configs[0] == configs[1]
