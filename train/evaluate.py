"""The program `dynamonet evaluate` as a script: `python train/evaluate.py --help`."""

import sys
from collections.abc import Sequence

from keras_dynamonet.cli.main import main as dynamonet


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `dynamonet evaluate` with the arguments of this script."""
    return dynamonet(["evaluate", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
