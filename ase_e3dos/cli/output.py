"""Files that commands write, and what is said where they cannot be written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ase_e3dos.errors import E3DOSError


@contextmanager
def figure_at(path: Path) -> Iterator[None]:
    """An E3DOSError in the place of what goes wrong when a figure is written."""
    try:
        yield
    except E3DOSError:
        raise
    except (OSError, ValueError, ImportError) as error:  # a missing library for webp, say
        raise E3DOSError(
            f"--plot {path}: the figure cannot be written ({error}). Choose another place or "
            "ending."
        ) from error


def write_figure(path: Path, draw: Callable[[Any], object]) -> None:
    """Write a figure of one panel that `draw` fills, given its axes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from ase_e3dos.export.plots import STYLE

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4, 2.4), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.subplots())
        with figure_at(path):
            figure.savefig(path, dpi=300)
