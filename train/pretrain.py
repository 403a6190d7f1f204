"""The program `dynamonet pretrain` as a script: `python train/pretrain.py --help`."""

import sys
from collections.abc import Sequence

from keras_dynamonet.cli.main import main as dynamonet


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `dynamonet pretrain` with the arguments of this script."""
    return dynamonet(["pretrain", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
