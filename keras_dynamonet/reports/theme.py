"""Colours of the report, the same in figures and page, for light and dark screens.

Figures are drawn in fixed marker colours; when a figure becomes part of the page, each
marker is exchanged for a CSS variable, so that one drawing serves both themes. The hues
follow Okabe and Ito's palette, which colour-blind readers can tell apart.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    """One role in the palette.

    Args:
        name: The CSS variable's name without the dashes.
        light: Hex colour on a light page.
        dark: Hex colour on a dark page.
        marker: The hex colour that stands for it in a drawing; unique, lower case.
    """

    name: str
    light: str
    dark: str
    marker: str


PAGE = Colour("page", "#fbfbf9", "#14171c", "#010101")
CARD = Colour("card", "#ffffff", "#1c2027", "#010102")
INK = Colour("ink", "#1d2129", "#e8eaed", "#010103")
MUTED = Colour("muted", "#5b6472", "#a3abb8", "#010104")
LINE = Colour("line", "#dcdfe4", "#363c47", "#010105")
MODEL = Colour("model", "#0067a8", "#63b5ec", "#010106")
TRAIN = Colour("train", "#7b8494", "#8d96a5", "#010107")
FLOOR = Colour("floor", "#b8520a", "#f0954f", "#010108")
CEILING = Colour("ceiling", "#00795a", "#3fc79c", "#010109")
WRONG = Colour("wrong", "#b3261e", "#ff8a80", "#01010a")

PALETTE = (PAGE, CARD, INK, MUTED, LINE, MODEL, TRAIN, FLOOR, CEILING, WRONG)


def css_variables(theme: str) -> str:
    """Declarations of all colours.

    Args:
        theme: `"light"` or `"dark"`.

    Returns:
        CSS such as `--ink: #1d2129; --muted: ...`.
    """
    return " ".join(f"--{c.name}: {getattr(c, theme)};" for c in PALETTE)
