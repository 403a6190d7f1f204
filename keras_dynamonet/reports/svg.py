"""Matplotlib figures as SVG that lies inside an HTML page."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.figure import Figure

from keras_dynamonet.reports.theme import INK, LINE, MUTED, PALETTE

STYLE = {
    "svg.fonttype": "none",  # real text: it can be selected, searched, read aloud
    "svg.hashsalt": "keras-dynamonet",  # the same figure gives the same file
    "text.parse_math": False,  # a class name may hold a dollar sign
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelcolor": MUTED.marker,
    "axes.edgecolor": LINE.marker,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "grid.color": LINE.marker,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.color": INK.marker,
    "xtick.color": LINE.marker,
    "ytick.color": LINE.marker,
    "xtick.labelcolor": MUTED.marker,
    "ytick.labelcolor": MUTED.marker,
}

_NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draws with the report's style; the user's own settings come back afterwards."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # Text is laid out with the default font, which may lack a script that the
        # reader's browser has: only the measured width is a little off.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def to_svg(figure: Figure, name: str, description: str) -> str:
    """Turns a figure into an `<svg>` element for an HTML page.

    Args:
        figure: The drawing.
        name: Unique on the page; keeps the identifiers of several figures apart.
        description: Text alternative for readers who cannot see the figure.

    Returns:
        The element as text. It follows the page's font and its colour theme.
    """
    buffer = io.StringIO()
    figure.savefig(
        buffer,
        format="svg",
        bbox_inches="tight",
        pad_inches=0.04,
        metadata=_NO_METADATA,
    )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    # The size comes from the page; the natural width keeps small figures small.
    width = float(re.search(r'width="([\d.]+)pt"', svg).group(1)) * 4 / 3
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r"<[^>]+>", lambda tag: _adapt_tag(tag.group(), name), svg)
    opening = (
        f'<svg role="img" aria-label="{_attribute(description)}" '
        f'style="max-width: {width:.0f}px"'
    )
    return svg.replace("<svg", opening, 1).strip()


def _adapt_tag(tag: str, name: str) -> str:
    """Makes one tag fit the page: its identifiers, its font and its colours."""
    tag = tag.replace(' id="', f' id="{name}-')
    tag = tag.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    # Matplotlib 3.11 writes the family by itself, earlier ones all in one.
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", tag)
    for colour in PALETTE:
        tag = tag.replace(colour.marker, f"var(--{colour.name})")
    return tag


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
