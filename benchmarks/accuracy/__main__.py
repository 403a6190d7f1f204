"""`python -m benchmarks.accuracy`: runs experiments and writes the table of them."""

import argparse
import os
import sys
import time
from pathlib import Path

from benchmarks.accuracy.catalogue import CATALOGUE
from benchmarks.accuracy.experiments import SEEDS, ClipSet
from benchmarks.accuracy.results import Results
from keras_dynamonet.files import atomic_path

HERE = Path(__file__).parent
CACHE = Path("runs/accuracy")
SHOWN = ("run", "getup_facedown")
"""Classes whose filters are drawn, with their reversals."""


def main(argv: list[str] | None = None) -> int:
    """Reads the command line and does what it says."""
    arguments = _parser().parse_args(argv)
    results = Results(arguments.results)
    programs = {
        "list": _list,
        "run": _run,
        "check": _check,
        "table": _table,
        "figures": _figures,
    }
    return programs[arguments.command](arguments, results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name the experiments and the seeds they have")
    run = commands.add_parser("run", help="run what is missing, most valuable first")
    run.add_argument("names", nargs="*", metavar="NAME", help="some experiments only")
    run.add_argument("--seeds", nargs="+", type=int, default=SEEDS, metavar="SEED")
    run.add_argument("--threads", type=int, default=0, help="of TensorFlow; 0: all")
    run.add_argument("--minutes", type=float, help="start no further run after these")
    check = commands.add_parser(
        "check", help="compare the results with those of a second run"
    )
    check.add_argument("second", type=Path, metavar="CSV", help="its results file")
    commands.add_parser("table", help="write TABLE.md")
    figures = commands.add_parser("figures", help="draw filters and learning curves")
    figures.add_argument("--out", type=Path, default=Path("docs"), metavar="FOLDER")
    for program in (run, figures):
        program.add_argument(
            "--cache", type=Path, default=CACHE, help=f"folder of the clips ({CACHE})"
        )
    parser.add_argument(
        "--results", type=Path, default=HERE / "results.csv", help="the results file"
    )
    return parser


def _list(arguments, results):
    for name, experiment in CATALOGUE.items():
        done = [str(seed) for seed in SEEDS if results.has(experiment, seed)]
        shown = f"seeds {', '.join(done)}" if done else "-"
        print(f"{experiment.group:10}{name:22}{shown:14}{experiment.title}")
    return 0


def _run(arguments, results):
    unknown = [name for name in arguments.names if name not in CATALOGUE]
    if unknown:
        print(f"No experiment is called {unknown[0]!r}; see `list`.", file=sys.stderr)
        return 2
    started = time.monotonic()
    for name in arguments.names or CATALOGUE:
        experiment = CATALOGUE[name]
        missing = [s for s in arguments.seeds if not results.has(experiment, s)]
        if not missing:
            continue
        trainer = _trainer(arguments, experiment)
        for seed in missing:
            minutes = (time.monotonic() - started) / 60
            if arguments.minutes is not None and minutes > arguments.minutes:
                return 0
            numbers = trainer.run(seed)
            results.add(experiment, seed, numbers)
            shown = numbers.get("accuracy", numbers.get("psnr_unseen_model"))
            cost = numbers["cpu_seconds"]
            print(f"{name} seed {seed}: {shown:.3f}, {cost:.0f} s", flush=True)
    return 0


def _trainer(arguments, experiment):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # the same kernels everywhere
    import tensorflow as tf

    from benchmarks.accuracy.filters_alone import FilterTrainer
    from benchmarks.accuracy.training import Trainer

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    alone = (experiment.network or {}).get("evidence") == "filters"
    return (FilterTrainer if alone else Trainer)(experiment, arguments.cache)


def _check(arguments, results):
    if not arguments.second.is_file():
        print(f"{arguments.second}: no such results file.", file=sys.stderr)
        return 2
    from benchmarks.accuracy.repeats import repeats

    found = list(repeats(results, Results(arguments.second)))
    outside = [repeat for repeat in found if not repeat.within]
    for repeat in outside:
        print(
            f"{repeat.experiment}, {repeat.metric}: {repeat.first.text(digits=4)}, "
            f"the second run differs by {repeat.change:+.4f}"
        )
    same = sum(repeat.same for repeat in found)
    print(
        f"{len(found)} numbers of {len({repeat.experiment for repeat in found})} "
        f"experiments: {same} the same, {len(found) - same - len(outside)} within the "
        f"95 % interval of the first run, {len(outside)} outside."
    )
    return 1 if outside or not found else 0


def _table(arguments, results):
    from benchmarks.accuracy.table import write_table

    print(write_table(results, HERE))
    return 0


def _figures(arguments, results):
    from benchmarks.accuracy.clips import load_clips
    from benchmarks.accuracy.figures import filters_of_classes, label_efficiency
    from keras_dynamonet.cli.demo_settings import opposite_pairs

    settings = ClipSet()
    clips, names = load_clips(settings, arguments.cache)["test"], settings.class_names
    shown = [pair for pair in opposite_pairs(names) if names[pair[0]] in SHOWN]
    figures = {
        "motion_filters.png": filters_of_classes(clips, names, shown),
        "few_labels.png": label_efficiency(results),
    }
    for name, figure in figures.items():
        if figure is not None:
            with atomic_path(arguments.out / name) as temporary:
                figure.savefig(temporary, dpi=110)
            print(arguments.out / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
