"""The program `dynamonet predict` as a script: `python train/predict.py --help`."""

import sys
from collections.abc import Sequence

from keras_dynamonet.cli.main import main as dynamonet


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `dynamonet predict` with the arguments of this script."""
    return dynamonet(["predict", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
