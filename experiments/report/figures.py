"""Figures as SVG for an HTML page: they use the page's colours, light or dark, and their text stays text.

Matplotlib draws with the placeholder colours below; each becomes a CSS variable. Their palette
(experiments/report/page.html.jinja) is Okabe and Ito's, which colour-blind readers can distinguish, too.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

INK, FAINT, PAPER = "#010203", "#040506", "#070809"
REAL, SYNTHETIC, THIRD, QUIET = "#11121a", "#21222a", "#31323a", "#41424a"
VARIABLES = {
    INK: "--ink", FAINT: "--faint", PAPER: "--paper",
    REAL: "--real", SYNTHETIC: "--synthetic", THIRD: "--third", QUIET: "--quiet",
}  # fmt: skip

NEAR = 12.0  # points: a label at most this far from its point needs no line
OFFSETS = tuple(
    (float(across * distance), float(up * distance))
    for distance in (1, 2.2, 3.6, 5.2, 7, 9)
    for across, up in (
        (6, 3), (6, -3), (-6, 3), (-6, -3), (0, 6), (0, -6), (5, 9), (-5, 9), (5, -9), (-5, -9), (12, 2), (-12, 2),
    )
)  # fmt: skip
"""Where labels may be, in points from their point: near places first."""

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "harmonic",  # the same figure, the same ids
    "svg.fonttype": "none", "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9,
    "text.parse_math": False,  # names come from the user and may contain dollar signs
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT, "xtick.color": FAINT, "ytick.color": FAINT,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "axes.titlecolor": INK, "grid.color": FAINT,
    "axes.titlesize": 9, "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
    "axes.linewidth": 0.8, "grid.linewidth": 0.4, "axes.facecolor": "none", "figure.facecolor": "none",
    "axes.unicode_minus": True, "legend.frameon": False,
}  # fmt: skip


def panels(count: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure with `count` axes, `columns` in a row, each of `size` inches; call it within `styled`."""
    from matplotlib.figure import Figure

    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    axes = [figure.add_subplot(rows, columns, position + 1) for position in range(count)]
    return figure, axes


def styled() -> Any:
    """A context in which Matplotlib uses this style; afterwards its settings are as before."""
    import matplotlib

    return matplotlib.rc_context(STYLE)


def svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an <svg> element for an HTML page; call it within `styled`.

    `name` makes its ids different from those of other figures; screen readers read the `description`.
    """
    from html import escape

    buffer = io.StringIO()
    with warnings.catch_warnings():  # the browser has fonts with these letters
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    text = _own_ids(text, re.sub(r"\W+", "-", name))
    opening = f'<svg role="img" aria-label="{escape(description)}"'
    return text.replace("<svg", opening, 1)


PALETTES = {
    "light": {"--ink": "#1d2228", "--faint": "#b4bcc4", "--paper": "#ffffff",
              "--real": "#0072b2", "--synthetic": "#c2500a", "--third": "#00805d", "--quiet": "#7a828a"},
    "dark": {"--ink": "#e4e7ea", "--faint": "#59636e", "--paper": "#14181c",
             "--real": "#5ab4ea", "--synthetic": "#f0a04b", "--third": "#45c79f", "--quiet": "#99a2ab"},
}  # fmt: skip
"""The page's colours (page.html.jinja), for figures that stand outside of it."""


def standalone(figure: str) -> str:
    """A figure of `svg` as a file of its own, which brings its colours and its paper along, for light and for dark."""
    told = {name: "".join(f"{key}:{colour};" for key, colour in palette.items()) for name, palette in PALETTES.items()}
    style = f"svg{{{told['light']}background:var(--paper)}}\n"
    style += f"@media (prefers-color-scheme: dark){{svg{{{told['dark']}}}}}"
    return figure.replace(">", f"><style>{style}</style>", 1)


def _own_ids(text: str, name: str) -> str:
    """Remove the ids that nothing refers to, and put the name before the others."""
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)


def place_labels(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    labels: Sequence[str],
    colours: Sequence[str],
    width: int = 26,
) -> None:
    """Write each label near its point, where it covers few points and other labels; a line joins those further away.

    Points are in data coordinates; `width`: letters in a line. Set the limits and scales of the axes before.
    """
    from matplotlib.transforms import Bbox

    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()

    spots = axes.transData.transform(points)
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in spots]
    inside = axes.get_window_extent()
    lines = [wrapped(label, width) for label in labels]
    for point, spot, label, colour in zip(points, spots, lines, colours, strict=True):
        best: tuple[float, tuple[float, float], Any] | None = None
        text = _label(axes, point, label, (0, 0), colour)
        size = text.get_window_extent()
        text.remove()
        for offset in OFFSETS:
            box = _placed(size, spot, offset, figure.dpi / 72)
            outside = box.width * box.height - _overlap(box, inside)
            cost = sum(_overlap(box, other) for other in taken) + 3 * outside + 4 * math.hypot(*offset)
            if best is None or cost < best[0] - 1e-6:
                best = (cost, offset, box)
        assert best is not None
        _label(axes, point, label, best[1], colour).set_in_layout(False)  # labels must not change the layout
        taken.append(best[2])


def _placed(size: Any, spot: Any, offset: tuple[float, float], scale: float) -> Any:
    """The box of a label with this size, at an offset from a spot, as `_label` writes it; in pixels."""
    from matplotlib.transforms import Bbox

    x, y = spot[0] + offset[0] * scale, spot[1] + offset[1] * scale
    left = x if offset[0] > 0 else x - size.width if offset[0] < 0 else x - size.width / 2
    return Bbox.from_bounds(left, y if offset[1] > 0 else y - size.height, size.width, size.height)


def _label(axes: Axes, point: tuple[float, float], label: str, offset: tuple[float, float], colour: str) -> Annotation:
    side = "left" if offset[0] > 0 else "right" if offset[0] < 0 else "center"
    joined = {"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2}
    return axes.annotate(
        label, point, offset, textcoords="offset points", fontsize=8, color=colour,
        ha=side, va="bottom" if offset[1] > 0 else "top", arrowprops=joined if math.hypot(*offset) > NEAR else None,
        bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.7, "pad": 0.3}, zorder=1.5,
    )  # fmt: skip


def wrapped(label: str, width: int = 26) -> str:
    """The label in at most four lines of `width` letters."""
    return "\n".join(textwrap.wrap(label, width, max_lines=4, placeholder=" …"))


def _overlap(first: Any, second: Any) -> float:
    """Shared area of two boxes, in square pixels."""
    from matplotlib.transforms import Bbox

    shared = Bbox.intersection(first, second)
    return 0.0 if shared is None else float(shared.width * shared.height)
