"""The table of experiments, most valuable first: the order in which `run` takes them.

The budget is fixed: a run takes one to five minutes of one processor, six on all ten
pairs, so that the whole table with three seeds takes some nine hours.
"""

from dataclasses import replace

from benchmarks.accuracy.experiments import ClipSet, Experiment
from benchmarks.accuracy.footage import Footage

SOLVED = {"filter_source": "solved"}
GENERATED = {"filter_source": "generated"}
REFINED = {"filter_source": "refined"}
TAUGHT = {"teacher_weight": 1.0}
UNTAUGHT = {"teacher_weight": 0.0}
SMALLEST = {"widths": (8, 8, 8, 8), "stem_width": 8}
FRAMES_ALONE = {"action_loss_weight": 0.0}

EPOCHS = 12
LONGER_EPOCHS, LONGEST_EPOCHS = 20, 30
"""A step of the network with solved filters costs 1.7 of the backbone's alone, one with
generated filters up to 2.4."""

BACKBONE = Experiment(
    name="backbone",
    group="sources",
    title="backbone alone",
    network=None,
    epochs=EPOCHS,
    probes=True,
)
LONGER_BACKBONE = Experiment(
    name="backbone-longer",
    group="sources",
    title="backbone alone, as much time as with solved filters",
    network=None,
    epochs=LONGER_EPOCHS,
)
SOLVED_FILTERS = Experiment(
    name="solved",
    group="sources",
    title="DynamoNet, solved filters",
    network=SOLVED,
    epochs=EPOCHS,
    probes=True,
)
TAUGHT_FILTERS = Experiment(
    name="taught",
    group="sources",
    title="DynamoNet, generated filters with a teacher",
    network=GENERATED,
    losses=TAUGHT,
    epochs=EPOCHS,
    probes=True,
)

_SOURCES = [
    BACKBONE,
    SOLVED_FILTERS,
    TAUGHT_FILTERS,
    Experiment(
        name="untaught",
        group="sources",
        title="DynamoNet, generated filters without a teacher",
        network=GENERATED,
        losses=UNTAUGHT,
        epochs=EPOCHS,
    ),
    Experiment(
        name="refined",
        group="sources",
        title="DynamoNet, solved filters refined by a generator",
        network=REFINED,
        epochs=EPOCHS,
    ),
    LONGER_BACKBONE,
    Experiment(
        name="backbone-longest",
        group="sources",
        title="backbone alone, as much time as with generated filters",
        network=None,
        epochs=LONGEST_EPOCHS,
    ),
]

_FILTERS = [
    Experiment(
        name=f"filters{name}",
        group="filters",
        title=title,
        clips=clips,
        network={**SOLVED, "evidence": "filters", **options},
        epochs=30,
        probes=not name,
        **settings,
    )
    for name, title, options, settings, clips in (
        ("", "solved filters only, k = 5", {}, {}, ClipSet()),
        ("-k3", "k = 3", {"kernel_size": 3}, {}, ClipSet()),
        ("-k7", "k = 7", {"kernel_size": 7}, {}, ClipSet()),
        ("-segments", "two segments", {"segments": 2}, {}, ClipSet()),
        ("-flat", "flattened", {"descriptor": "flatten"}, {}, ClipSet()),
        ("-weak", "ridge 1e-3", {"descriptor_ridge": 1e-3}, {}, ClipSet()),
        ("-shuffled", "frames in no order", {}, {"order": "shuffled"}, ClipSet()),
        *(
            (
                f"-{label}",
                f"{label} % of the labels",
                {},
                {"label_share": label / 100},
                ClipSet(),
            )
            for label in (5, 10, 25)
        ),
    )
]

_FRAMES = [
    replace(
        experiment,
        name=f"{place}-{experiment.name}",
        group=place,
        clips=clips,
        epochs=epochs,
    )
    for place, clips, epochs in (("people", ClipSet(), 2), ("street", Footage(), 4))
    for experiment in (
        Experiment(
            name=name,
            group="",  # that of the place
            title=title,
            network=network,
            # Solved filters need a backbone for the classifier alone.
            backbone={} if network.get("filter_source") == "generated" else SMALLEST,
            losses={**FRAMES_ALONE, **losses},
        )
        for name, title, network, losses in (
            ("one", "solved, one filter", SOLVED, {}),
            ("two", "solved, two segments", {**SOLVED, "segments": 2}, {}),
            ("three", "solved, three segments", {**SOLVED, "segments": 3}, {}),
            ("taught", "generated with a teacher", GENERATED, TAUGHT),
            ("untaught", "generated without a teacher", GENERATED, UNTAUGHT),
        )
    )
]

LABEL_SHARES = (0.05, 0.1, 0.25, 1.0)

LABEL_WAYS = {
    "alone": "backbone alone, from scratch",
    "few": "solved filters, from scratch",
    "scratch": "taught filters, from scratch",
    "twice": "taught filters, from scratch, twice the steps",
    "pretrained": "taught filters, pre-trained",
    "deep": "taught filters from stage 3, pre-trained",
    "semi": "taught filters, semi-supervised",
}
"""How the clips without a label are used, by the start of the experiment's name."""

_WAY_OPTIONS = {
    "alone": {"network": None},
    "scratch": {"network": GENERATED, "losses": TAUGHT},
    # As many steps as pre-training and training together.
    "twice": {"network": GENERATED, "losses": TAUGHT, "epochs": 12},
    "pretrained": {"network": GENERATED, "losses": TAUGHT, "pretrain_epochs": 6},
    "deep": {
        "network": {**GENERATED, "generator_input": "stage3"},
        "losses": TAUGHT,
        "pretrain_epochs": 6,
    },
    "semi": {"network": GENERATED, "losses": TAUGHT, "unlabelled": True},
    "few": {"network": SOLVED},
}

_LABELS = [
    Experiment(
        name=f"{way}-{round(100 * share)}",
        group="labels",
        title=f"{title}, {round(100 * share)} % of the labels",
        clips=ClipSet(track="native"),
        label_share=share,
        **_WAY_OPTIONS[way],
    )
    for share in LABEL_SHARES
    for way, title in LABEL_WAYS.items()
    # With all labels there is nothing without one.
    if not (way == "semi" and share == 1)
] + [
    Experiment(
        name="alone-longer-100",
        group="labels",
        title="backbone alone, from scratch, as much time as with solved filters, "
        "100 % of the labels",
        clips=ClipSet(track="native"),
        network=None,
        epochs=10,  # of 6: a step of theirs costs 1.6 of the backbone's
    )
]

_CONTROLS = [
    replace(
        experiment,
        name=f"{experiment.name}-{order}",
        group="controls",
        title=f"{experiment.title}, {title}",
        order=order,
        probes=False,
    )
    for order, title in (("single", "one frame"), ("shuffled", "frames in no order"))
    for experiment in (BACKBONE, SOLVED_FILTERS)
]

_STC = [
    replace(
        experiment,
        name=f"{experiment.name}-stc",
        group="stc",
        title=f"{experiment.title}, STC",
        backbone={"stc_ratio": 4},
        probes=False,
    )
    for experiment in (BACKBONE, SOLVED_FILTERS, TAUGHT_FILTERS, LONGER_BACKBONE)
]

_CAMERAS = [
    replace(
        experiment,
        name=f"{experiment.name}-{camera}",
        group="cameras",
        title=f"{experiment.title}, {camera} camera",
        clips=ClipSet(camera=camera),
        probes=False,
    )
    for camera in ("following", "shaking")
    for experiment in (BACKBONE, SOLVED_FILTERS, TAUGHT_FILTERS, LONGER_BACKBONE)
]

_TRACK = [
    replace(
        experiment,
        name=f"{experiment.name}-all",
        group="track",
        clips=ClipSet(track="whole time"),
        probes=False,
    )
    for experiment in (BACKBONE, SOLVED_FILTERS, LONGER_BACKBONE)
]

_OPTIONS = [
    Experiment(
        name=name,
        group="options",
        title=title,
        network=network,
        losses=losses,
        epochs=EPOCHS,
    )
    for name, title, network, losses in (
        ("maps", "solved on 4 learned maps", {**SOLVED, "solver_maps": 4}, {}),
        ("segments", "solved, two segments", {**SOLVED, "segments": 2}, {}),
        ("flat", "solved, flattened", {**SOLVED, "descriptor": "flatten"}, {}),
        ("k3", "solved, k = 3", {**SOLVED, "kernel_size": 3}, {}),
        ("k7", "solved, k = 7", {**SOLVED, "kernel_size": 7}, {}),
        ("k9", "solved, k = 9", {**SOLVED, "kernel_size": 9}, {}),
        ("k11", "solved, k = 11", {**SOLVED, "kernel_size": 11}, {}),
        ("colours", "solved, a filter a colour", {**SOLVED, "per_channel": True}, {}),
        (
            "sum-to-one",
            "solved, normalised to a sum of one",
            {**SOLVED, "normalization": "sum_to_one"},
            {},
        ),
        (
            "solved-feature",
            "solved, the classifier sees the feature alone",
            {**SOLVED, "evidence": "feature"},
            {},
        ),
        (
            "warm-up",
            "solved, action loss growing in over a quarter of the steps",
            SOLVED,
            {"loss_weighting": "warm_up", "loss_warmup_steps": 120},
        ),
        (
            "softmax",
            "untaught, softmax over the taps",
            {**GENERATED, "normalization": "softmax"},
            UNTAUGHT,
        ),
        (
            "feature-only",
            "taught, feature only",
            {**GENERATED, "evidence": "feature"},
            {},
        ),
        (
            "detached",
            "taught, classifier's gradient stopped",
            {**GENERATED, "motion_gradient": False},
            {},
        ),
        (
            "pooled",
            "taught, from the pooled feature",
            {**GENERATED, "generator_input": "feature"},
            {},
        ),
        (
            "uncertainty",
            "taught, weighted by uncertainty",
            GENERATED,
            {"loss_weighting": "uncertainty"},
        ),
        (
            "high-pass",
            "untaught, loss on high-passed frames",
            GENERATED,
            {**UNTAUGHT, "frame_view": "high_pass"},
        ),
        (
            "whitened",
            "untaught, loss on whitened frames",
            GENERATED,
            {**UNTAUGHT, "frame_view": "whitened"},
        ),
    )
]

CATALOGUE = {
    experiment.name: experiment
    for part in (
        _FILTERS,
        _SOURCES,
        _FRAMES,
        _LABELS,
        _CONTROLS,
        _STC,
        _CAMERAS,
        _TRACK,
        _OPTIONS,
    )
    for experiment in part
}
"""Every experiment by name."""
