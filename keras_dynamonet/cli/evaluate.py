"""`dynamonet evaluate`: accuracy and frame prediction on held-out videos."""

import argparse
from pathlib import Path

from keras_dynamonet.cli.argument_types import at_least, local_path, share
from keras_dynamonet.cli.flags import add_model_argument
from keras_dynamonet.cli.output import (
    load_tensorflow,
    make_table,
    print_json,
    result_console,
    say,
    step_progress,
    warn_trained_on,
)

EXAMPLES = """\
examples:
  dynamonet evaluate runs/first videos --split test
  dynamonet evaluate runs/first videos --clips 10 --crops 3 --json
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a model on labelled videos",
        description="Measures accuracy and frame prediction under a stated protocol, "
        "and writes a model card.",
        epilog=EXAMPLES,
    )
    add_model_argument(parser)
    parser.add_argument("data", metavar="DATA", help="labelled videos, as for train")
    parser.add_argument("--layout", default="auto", help="layout of DATA")
    parser.add_argument(
        "--video-root",
        metavar="FOLDER",
        help="folder that the paths in a list start from",
    )
    parser.add_argument(
        "--split", help="part of DATA (default: test where there is one)"
    )
    for flag, default, text in (
        ("clips", 1, "clips spread over a video"),
        ("crops", 1, "squares over its long side"),
        ("frame-clips", 64, "clips to measure frame prediction on; 0: none"),
        ("batch-size", 16, "clips at a time"),
    ):
        parser.add_argument(
            f"--{flag}",
            type=at_least(0 if flag == "frame-clips" else 1),
            default=default,
            metavar="N",
            help=f"{text} (default: {default})",
        )
    parser.add_argument(
        "--max-bad-share",
        type=share,
        default=0.1,
        metavar="X",
        help="stop when more than this share cannot be read (default: 0.1)",
    )
    parser.add_argument(
        "--out",
        type=local_path,
        metavar="FOLDER",
        help="where to write (default: RUN/evaluation)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the model card as JSON"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluates and writes the card."""
    load_tensorflow(verbose=arguments.verbose)
    from keras_dynamonet.cli.evaluation_report import evaluation_report
    from keras_dynamonet.reports import write_report
    from keras_dynamonet.training.evaluation import Protocol, evaluate
    from keras_dynamonet.training.model_card import make_model_card, write_evaluation
    from keras_dynamonet.training.trained_model import load_trained_model
    from keras_dynamonet.training.training_data import load_evaluation_data

    protocol = Protocol(arguments.clips, arguments.crops)
    trained = load_trained_model(arguments.model)
    manifest = load_evaluation_data(
        arguments.data,
        layout=arguments.layout,
        split=arguments.split,
        video_root=arguments.video_root,
        class_names=trained.model.class_names,
    )
    with step_progress("evaluating") as progress:
        result = evaluate(
            trained,
            manifest,
            protocol=protocol,
            batch_size=arguments.batch_size,
            frame_clips=arguments.frame_clips,
            max_bad_share=arguments.max_bad_share,
            progress=progress,
        )
    card = make_model_card(trained, result, arguments.data)
    folder = Path(arguments.out) if arguments.out else _default_folder(trained)
    write_evaluation(folder, card, result)
    report = evaluation_report(
        result,
        title=f"{trained.path.name} on {Path(arguments.data).name}",
        subtitle=f"{len(result.class_names)} classes, {result.protocol}",
        history=trained.run.read_history() if trained.run else (),
    )
    write_report(report, folder / "report.html")
    if arguments.json:
        print_json(card)
    else:
        _show(card["evaluation"])
    if result.trained_on:
        warn_trained_on(result.trained_on, len(result.video_paths))
    say(f"Written: {folder}/report.html, model_card.md, model_card.json")
    return 0


def _default_folder(trained) -> Path:
    if trained.run is not None:
        return trained.run.evaluation
    folder = Path() if trained.shipped else trained.path.parent
    return folder / f"{trained.path.stem}_evaluation"


def _show(found: dict) -> None:
    from keras_dynamonet.training.model_card import (
        accuracy_rows,
        psnr_table,
        videos_sentence,
    )

    console = result_console()
    console.print(
        f"{videos_sentence(found)}; {found['protocol']['text']}", markup=False
    )
    if found["video_accuracy"]:
        columns = ("correct", "accuracy", "95 % interval")
        table = make_table("", *columns, numbers=columns)
        for name, row in accuracy_rows(found):
            table.add_row(name, *_cells(row))
        table.add_section()
        for name, row in found["per_class"].items():
            table.add_row(name, *(_cells(row) if row else ("no videos", "", "")))
        console.print(table)
    if found["frame_psnr_db"]:
        columns, rows = psnr_table(found)
        table = make_table("next frame, PSNR in dB", *columns, numbers=columns)
        for part, cells in rows:
            table.add_row(part, *cells)
        console.print()
        console.print(table)


def _cells(accuracy: dict) -> tuple[str, str, str]:
    value, low, high = (100 * accuracy[key] for key in ("value", "low", "high"))
    counts = f"{accuracy['correct']}/{accuracy['total']}"
    return counts, f"{value:.1f} %", f"{low:.1f} to {high:.1f} %"
