"""Prints the lower bounds of the installed package as constraints for pip.

`make test-lowest` runs the tests with them: `numpy>=2.0,<3` becomes `numpy==2.0`.
"""

import re
from importlib.metadata import requires


def lowest(requirement: str) -> str:
    """The constraint that a requirement's lower bound makes.

    Example:

    >>> lowest("numpy<3,>=2.0; extra == 'test'")
    'numpy==2.0'
    """
    name = re.match(r"[\w.-]+", requirement).group()
    version = re.search(r">=\s*([\w.]+)", requirement).group(1)
    return f"{name}=={version}"


if __name__ == "__main__":
    print(*sorted({lowest(line) for line in requires("keras-dynamonet")}), sep="\n")
