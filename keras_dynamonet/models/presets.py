"""Named architectures: tables, no logic beyond looking up.

A preset is `ARCHITECTURE-FRAMESf`, e.g. `resnext101-32f`. Weights are fresh.
"""

# Arguments of ResNeXt3D, less the number of frames.
ARCHITECTURES = {
    # For CPUs and small frames. The coarse stem leaves 8x16x16 positions of a clip of
    # 16x64x64 to the stages, where a "small" one would cost four times the time.
    "nano": {
        "depth": 10,
        "size": 64,
        "block": "bottleneck",
        "cardinality": 4,
        "widths": (16, 32, 64, 128),
        "expansion": 2,
        "stem": "coarse",
        "stem_width": 16,
        "temporal_strides": (1, 1, 2, 2),
    },
    "resnet18": {"depth": 18, "size": 112, "cardinality": 1},
    "resnext50": {"depth": 50, "size": 112, "cardinality": 32},
    "resnext101": {"depth": 101, "size": 112, "cardinality": 32},
    "stc-resnext101": {"depth": 101, "size": 112, "cardinality": 32, "stc_ratio": 16},
}

CLIP_LENGTHS = (16, 32, 64)

PRESETS = {
    f"{name}-{frames}f": {**architecture, "num_frames": frames}
    for name, architecture in ARCHITECTURES.items()
    for frames in CLIP_LENGTHS
}


def preset_config(name: str) -> dict:
    """Arguments of :class:`ResNeXt3D` of a preset.

    Raises:
        ValueError: If there is no preset of that name.

    Example:

    >>> preset_config("resnext101-32f")["num_frames"]
    32
    """
    if name not in PRESETS:
        raise ValueError(
            f"There is no preset of that name. Known: {', '.join(PRESETS)}. "
            f"Received: {name!r}"
        )
    return dict(PRESETS[name])
