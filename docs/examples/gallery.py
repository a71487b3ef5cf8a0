"""Make the figures of docs/gallery.md by the commands that stand there, and the start page's.

python docs/examples/gallery.py
"""

import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib as mpl
from PIL import Image

from ase_e3dos import predict
from ase_e3dos.export.plots import plot_summary

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FIGURES = DOCS / "figures" / "gallery"
CRYSTALS = DOCS / "crystals"
RUN = "from ase_e3dos.cli import main; main()"


def commands() -> list[list[str]]:
    """Words of the page's commands that write figures."""
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n\$ (.*?)```", page, re.DOTALL)
    found = [shlex.split(block.replace("\\\n", " ")) for block in blocks]
    return [words for words in found if words[-1].endswith(".png")]


def of_the_start_page() -> None:
    """SrTiO3 in a light and a dark figure."""
    (spectrum,) = predict(CRYSTALS / "SrTiO3.cif")
    for name, style in (("landing", "publication"), ("landing-dark", "dark")):
        plot_summary(spectrum, FIGURES / f"{name}.png", units="cm-1", stacked=True, style=style)


def after() -> None:
    """The four figures that stand beside what they were at first."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    names = ("MgO.cif", "SrTiO3.cif", "GaAs.vasp", "NaCl.cif", "MgO2H2.cif", "Si.vasp")
    s = dict(zip(names, predict([CRYSTALS / name for name in names]), strict=True))
    plot_summary([s[name] for name in names[:4]], FIGURES / "after1.png")
    figure, ax = plt.subplots(figsize=(6.8, 2.6), layout="constrained")
    s["MgO.cif"].plot(ax)
    s["GaAs.vasp"].plot(ax)
    figure.savefig(FIGURES / "after2.png", dpi=300)
    stretched = s["Si.vasp"].crystal.to_atoms()
    stretched.set_cell(stretched.cell * 1.03, scale_atoms=True)
    plot_summary([s["Si.vasp"], *predict({"stretched.vasp": stretched})], FIGURES / "after3.png")
    chosen = ("NaCl.cif", "GaAs.vasp", "SrTiO3.cif", "MgO2H2.cif")
    plot_summary([s[name] for name in chosen], FIGURES / "after4.png")


def smaller(path: Path) -> None:
    """Half the width and few colours: a tenth of the size, and enough for a screen."""
    with Image.open(path) as image:
        if image.width > 1400:
            image = image.convert("RGB").resize((1360, round(image.height * 1360 / image.width)), 1)
            image.quantize(192, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Make all of them."""
    warnings.simplefilter("ignore")
    FIGURES.mkdir(parents=True, exist_ok=True)
    for words in commands():
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", RUN, *words[1:]],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        print(words[-1], "exit code", done.returncode)
        if done.returncode:
            sys.exit(done.stderr)
    of_the_start_page()
    after()
    for path in FIGURES.glob("*.png"):
        smaller(path)


if __name__ == "__main__":
    main()
