"""Figures as small PNG files, for pages."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ase_e3dos.export.writing import save_figure, writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colours of a PNG file: a palette has no more.
_COLORS = 256


def save_picture(figure: Figure, path: str | Path, dpi: int = 110) -> Path:
    """Write a figure; PNG files get a palette, which makes them a third as large.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or Path
        Its ending is the format, as for `ase_e3dos.export.writing.save_figure`.
    dpi : int, optional
        Dots per inch of images that are made of pixels.

    Raises
    ------
    OutputError
        The ending is unknown, or the file cannot be written.
    """
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() != ".png":
        save_figure(figure, path, dpi)
        return path
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    drawn.seek(0)
    with writing(path), Image.open(drawn) as image:
        # the method keeps colours of few pixels, such as those of thin lines
        palette = image.convert("RGB").quantize(_COLORS, Image.Quantize.MAXCOVERAGE)
        palette.save(path, optimize=True)
    return path
