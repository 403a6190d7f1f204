"""Small made-up results for the tests of the report."""

import numpy as np

from keras_dynamonet.reports import (
    Bounds,
    Classification,
    CommandShown,
    Example,
    FilterComparison,
    FilterRow,
    FramePrediction,
    FrameStrip,
    Loop,
    Provenance,
    Report,
)

NAMES = ("sit", "rise", "bow", "bow_back")


def classification(**changes) -> Classification:
    confusion = np.array([[9, 1, 0, 0], [3, 7, 0, 0], [0, 0, 8, 2], [0, 1, 0, 9]])
    arguments = {
        "class_names": NAMES,
        "confusion": confusion,
        "order_blind_ceiling": 0.5,
        "opposites": [(0, 1), (2, 3)],
        "protocol": "1 clip a video",
        "trained_on": 0,
    }
    return Classification(**(arguments | changes))


def loop(label: str = "sit", frames: int = 4) -> Loop:
    pixels = np.zeros((frames, 8, 8, 3), np.uint8)
    pixels[np.arange(frames), 3, np.arange(frames)] = 255
    return Loop(label, pixels, fps=12.0)


def strip(unseen: bool = False) -> FrameStrip:
    previous, real, predicted = np.random.default_rng(0).random((3, 8, 8, 3))
    bounds = Bounds(floor=20.5, model=21.75, ceiling=23.0)
    return FrameStrip("sit, frame 3", previous, real, predicted, bounds, unseen=unseen)


def filters() -> np.ndarray:
    taps = np.zeros((4, 3, 3))
    taps[:, 1, 1] = 1.0
    taps[2, 1, 2] = 0.3
    return taps


def report() -> Report:
    """One with every part."""
    epochs = {"accuracy": [0.3, 0.6], "val_accuracy": [0.2, 0.5]}
    epochs |= {"action_loss": [1.3, 0.9], "frame_loss": [0.1, 0.05]}
    epochs |= {"psnr_gain_unseen": [-0.1, 0.2], "val_psnr_gain_unseen": [-0.2, 0.1]}
    return Report(
        "Chairs",
        subtitle="A small model.",
        classification=classification(),
        frame_prediction=FramePrediction(
            Bounds(25.0, 26.0, 27.0), Bounds(24.0, 24.25, 26.0)
        ),
        history=epochs,
        task_intro="Two motions and their reversals.",
        task=[loop(name) for name in NAMES],
        strips=[strip(), strip(unseen=True)],
        filters=[
            FilterComparison(
                "sit against rise",
                [
                    FilterRow("sit", filters()),
                    FilterRow("rise", filters()[::-1], backwards=True),
                ],
                "Look.",
            )
        ],
        examples=[
            Example(loop(), NAMES, np.array([0.7, 0.2, 0.1, 0.0]), true_class=0),
            Example(loop(), NAMES, np.array([0.7, 0.2, 0.1, 0.0]), true_class=1),
        ],
        command_shown=CommandShown(
            "A street.",
            "dynamonet predict runs/demo street.mp4",
            "street.mp4  sit",
            Example(loop("street"), NAMES, np.array([0.7, 0.2, 0.1, 0.0])),
        ),
        provenance=Provenance(
            "dynamonet demo --seed 3",
            facts={"seed": 3},
            stage_seconds={"render": 12.0, "train": 63.0},
            peak_rss_gib=1.25,
            versions={"keras": "3.15.1"},
            configuration='{"preset": "nano"}',
        ),
        limits=["The chairs are rendered."],
    )
