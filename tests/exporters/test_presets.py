"""Every preset in every format, small in width, depth and size of the frames.

The sizes of the table are exported by `benchmarks/export_full_size.py`.
"""

import importlib.util

import numpy as np
import pytest

from keras_dynamonet import DynamoNet
from keras_dynamonet.exporters.calibration import share_out
from keras_dynamonet.exporters.formats import FORMATS, plan
from keras_dynamonet.exporters.job import run_jobs
from keras_dynamonet.exporters.source import ExportSource
from keras_dynamonet.models.presets import PRESETS
from tests.exporters.networks import moving_clips, randomise

PACKAGES = {
    "saved_model": (),
    "onnx": ("onnxruntime", "tf2onnx"),
    "tflite": ("ai_edge_litert",),
    "tensorrt": ("onnxruntime", "tf2onnx", "tensorrt_rtx_bindings"),
}
# What a preset's name says stays: kind of block, stem and shortcut, strides, groups,
# STC, and the number of frames.
SMALL = {
    "blocks": (1, 1, 1, 1),
    "widths": (8, 8, 16, 16),
    "stem_width": 8,
    "size": 16,
}


def small_source(preset, **options):
    architecture = PRESETS[preset]
    backbone = {**SMALL, "cardinality": min(architecture.get("cardinality", 1), 4)}
    if "stc_ratio" in architecture:
        backbone["stc_ratio"] = 4
    # Generated filters convert in half the time.
    options = {"kernel_size": 3, "filter_source": "generated", **options}
    network = DynamoNet.from_preset(preset, num_classes=5, backbone=backbone, **options)
    randomise(network)
    clips = moving_clips(3, network.num_frames, 16)
    return ExportSource(network, share_out(clips), ("probabilities", "next_frame"))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_format(preset, tmp_path):
    formats = [
        name
        for name, packages in PACKAGES.items()
        if all(map(importlib.util.find_spec, packages))
    ]
    source = small_source(preset)
    done = run_jobs(
        source,
        plan(formats, ["float32"]),
        tmp_path,
        options={"compute_capabilities": ("8.9",)},
    )
    assert done.errors == ()
    assert len(done.results) == len(done.reports) == len(formats)
    assert all(done.reports)
    assert np.ptp(source.expected["probabilities"]) > 0.01


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("nano-16f", {}),
        ("nano-16f", {"dtype": "mixed_bfloat16", "segments": 2}),
        ("resnext101-32f", {}),
        ("stc-resnext101-64f", {}),
    ],
)
def test_the_default_filters(preset, options, tmp_path):
    """Solved, of 5x5 taps, over as many frames as the preset has."""
    source = small_source(preset, kernel_size=5, filter_source="solved", **options)
    done = run_jobs(source, plan(["onnx", "tflite"], ["float32", "float16"]), tmp_path)
    assert done.errors == ()
    assert len(done.results) == 4


def test_no_format_is_left_out():
    assert set(PACKAGES) == set(FORMATS)
