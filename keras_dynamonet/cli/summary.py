"""`dynamonet summary`: what a network costs, layer by layer, and the model zoo."""

import argparse

from keras_dynamonet.cli.argument_types import at_least
from keras_dynamonet.cli.output import (
    load_tensorflow,
    make_table,
    print_json,
    result_console,
    step_progress,
)
from keras_dynamonet.errors import UsageError, UserError

EXAMPLES = """\
examples:
  dynamonet summary runs/first/best.keras
  dynamonet summary resnext101-16f --layers
  dynamonet summary --zoo --markdown
"""

ZOO_COLUMNS = (
    *("name", "checkpoint", "clip", "parameters", "GMAC"),
    *("published accuracy", "source and licence", "command"),
)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "summary",
        help="count the weights and the arithmetic of a network",
        description="Counts trainable parameters and multiply-accumulate operations "
        "(GMAC: 1e9 of them) for one clip from the network itself.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        help="a .keras file, a preset, or an architecture of the zoo",
    )
    parser.add_argument(
        "--classes",
        type=at_least(1),
        default=400,
        help="classes of a preset or architecture (default: 400)",
    )
    parser.add_argument("--layers", action="store_true", help="also list every layer")
    parser.add_argument(
        "--zoo", action="store_true", help="list every preset and known checkpoint"
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print the zoo as a Markdown table"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the figures as JSON on stdout"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the cost of one network or of all known ones."""
    if args.zoo == (args.model is not None):
        raise UsageError("Name a MODEL, or ask for all with --zoo.")
    load_tensorflow(verbose=getattr(args, "verbose", False))
    if args.zoo:
        _print_zoo(_zoo_rows(), args)
    else:
        _print_model(_build(args.model, args.classes), args)
    return 0


def _build(name, num_classes):
    from keras_dynamonet.models.dynamonet import DynamoNet
    from keras_dynamonet.models.loading import load_model
    from keras_dynamonet.models.presets import PRESETS
    from keras_dynamonet.models.resnext3d import ResNeXt3D
    from keras_dynamonet.weights.zoo import ARCHITECTURES

    if name.endswith(".keras"):
        return load_model(name, compile=False)
    if name in PRESETS:
        return DynamoNet.from_preset(name, num_classes)
    if name in ARCHITECTURES:
        return ResNeXt3D(**ARCHITECTURES[name], num_classes=num_classes)
    known = ", ".join([*PRESETS, *ARCHITECTURES])
    raise UserError(f"{name}: no .keras file and no known name. Known: {known}.")


def _print_model(model, args):
    from keras_dynamonet.models.complexity import layer_costs

    costs = layer_costs(model)
    parameters = sum(cost.parameters for cost in costs)
    macs = sum(cost.macs for cost in costs)
    if args.json:
        print_json(
            {
                "model": args.model,
                "clip": [model.num_frames, *model.frame_size, 3],
                "parameters": parameters,
                "macs": macs,
                "layers": [vars(cost) for cost in costs],
            }
        )
        return
    table = make_table("layer", "kind", "parameters", "GMAC", numbers=_NUMBERS)
    for cost in costs if args.layers else ():
        table.add_row(
            cost.name, cost.kind, f"{cost.parameters:,}", f"{cost.macs / 1e9:.4f}"
        )
    table.add_row("total", _clip(model), f"{parameters:,}", f"{macs / 1e9:.2f}")
    result_console().print(table)


def _zoo_rows():
    """A row for each preset and published checkpoint; each network is built once."""
    from keras_dynamonet.models.dynamonet import DynamoNet
    from keras_dynamonet.models.presets import PRESETS
    from keras_dynamonet.models.resnext3d import ResNeXt3D
    from keras_dynamonet.weights.zoo import ARCHITECTURES, CHECKPOINTS

    rows, done = [], 0
    with step_progress("Building networks") as progress:
        for name in PRESETS:
            model = DynamoNet.from_preset(name, num_classes=400)
            command = f"dynamonet train DATA --preset {name}"
            rows.append(
                {"name": name, "checkpoint": "", **_figures(model), "command": command}
            )
            done += 1
            progress(done, len(PRESETS) + len(CHECKPOINTS))
        figures = {}
        for entry in CHECKPOINTS:
            clip = {"num_classes": entry.num_classes, "num_frames": entry.num_frames}
            key = (entry.arch, *clip.values())
            if key not in figures:
                figures[key] = _figures(ResNeXt3D(**ARCHITECTURES[entry.arch], **clip))
            rows.append(
                {
                    "name": entry.arch,
                    "checkpoint": entry.file,
                    **figures[key],
                    "published": entry.published,
                    "source": entry.source,
                    "command": entry.command,
                }
            )
            done += 1
            progress(done, len(PRESETS) + len(CHECKPOINTS))
    return rows


def _figures(model):
    import keras

    from keras_dynamonet.models.complexity import layer_costs

    costs = layer_costs(model)
    clip = _clip(model)
    keras.utils.clear_session()  # frees the weights of the last network
    return {
        "clip": clip,
        "parameters": sum(cost.parameters for cost in costs),
        "macs": sum(cost.macs for cost in costs),
        "published": "",
        "source": "",
    }


_NUMBERS = ("parameters", "GMAC")


def _clip(model):
    height, width = model.frame_size
    return f"{model.num_frames}x{height}x{width}"


def _print_zoo(rows, args):
    if args.json:
        print_json(rows)
        return
    table = make_table(*ZOO_COLUMNS, numbers=_NUMBERS)
    lines = [
        "| " + " | ".join(ZOO_COLUMNS) + " |",
        "|" + "|".join(" --- " for _ in ZOO_COLUMNS) + "|",
    ]
    for row in rows:
        cells = [row["name"], row["checkpoint"], row["clip"]]
        cells += [f"{row['parameters']:,}", f"{row['macs'] / 1e9:.2f}"]
        cells += [row["published"], row["source"], f"`{row['command']}`"]
        table.add_row(*cells)
        lines.append("| " + " | ".join(cell or "-" for cell in cells) + " |")
    if args.markdown:
        print("\n".join(lines))
    else:
        result_console().print(table)
