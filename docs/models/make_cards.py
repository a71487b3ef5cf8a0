"""Write the model cards: what each model is, and what `e3dos evaluate` prints for it.

    python docs/models/make_cards.py --data-dir DATA

The cards go to ase_e3dos/models, beside the weights. What stands below a command there is its
output, run on the weights that are there (of the example mg3sb2_bi2, calibrate_force_constants.py
and force_constants.py: as the files have it that these wrote), and the list of facts is read from
the weights file. What the text above says of the training (numbers of crystals, shares, steps) is
typed in here, and has to follow the training script when weights are replaced.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from ase.data import chemical_symbols

from ase_e3dos.network.weights import WeightsHeader, read_header

DOCS = Path(__file__).parents[1]
MODELS = DOCS.parent / "ase_e3dos" / "models"
DFPT, JARVIS, SITES = "dfpt_petretto.parquet", "dft_jarvis.parquet", "mlip_nequix.parquet"
PHONONDB = "dft_phonondb.parquet"

LIMITS = """\
Crystals with few atoms in the cell, mostly insulators and semiconductors: others are
extrapolations. No magnetism, no temperature but through occupation of harmonic modes, no long-range
electrostatics beyond the reach of the graph, but for the dipoles of `force-constants`. Predicted
imaginary modes are a hint, not a proof."""


@dataclass(frozen=True)
class Card:
    """Text and evaluations of one model."""

    title: str
    text: str
    evaluations: tuple[str, ...]


def _output(name: str) -> str:
    """What a script of this folder printed, if it was run."""
    file = Path(__file__).with_name(name)
    return file.read_text(encoding="utf-8").strip() if file.is_file() else "not run"


def _paper() -> str:
    """The recipe, and which network of its trials ships, by the header of the weights."""
    recipe = """
The network of Chen et al. (figure S2, table S1) with dense kernels, trained on the 1,218 DFPT
training spectra of the paper's own division with its loss (mean squared error of max-normalised
spectra), optimiser (AdamW, 5e-3 x 0.96^epoch, weight decay 0.05) and early stopping on the
validation error. The paper leaves open, and the preset `paper` has of our choice: one crystal a
batch; 16 hidden units in the two-layer radial functions with SiLU; SiLU and sigmoid in the gates;
sums over neighbours divided by sqrt(30); atomic masses in units of 60 amu; and that the exponential
average of the weights (decay 0.999 a step) is validated and kept."""
    header = read_header(MODELS / "paper.safetensors")
    found = re.search(r"trial (\w+), seed (\d+)", header.description)
    if found is None:
        what = f"""
The model is the mean of {header.members} networks of it ({header.description}), which gives it
error bars (not calibrated); `uncertainty=False` runs the first alone."""
    else:
        record = Path(__file__).with_name("paper-recipes.json")
        trials = json.loads(record.read_text(encoding="utf-8"))
        name, seed = found.groups()
        count = sum(len(trial["seeds"]) for trial in trials.values())
        change = "" if name == "preset" else f", with this change: {trials[name]['change']}"
        what = f"""
The model is one network of it, of seed {seed}, without error bars{change}. It was chosen among
{count} by its error on the validation set, which flatters it there. Silent points, frequencies at
which it gives zero for every crystal there: {trials[name]["seeds"][seed]["silent"]:.0f} of 51
(docs/benchmarks/paper.md says why), which cut spectra into pieces near 900 cm^-1."""
    where = """
Training: `python docs/models/train_paper.py --data-dir DATA`; all trials are in
docs/benchmarks/paper.md."""
    text = " ".join((recipe + what + where).split())
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


CARDS = {
    "paper": Card(
        "The paper's network",
        _paper(),
        (
            f"--model paper --data {DFPT} --split valid",
            f"--model paper --data {DFPT} --split train",
        ),
    ),
    "imaginary": Card(
        "The 61-point variant with imaginary modes",
        """\
The preset `paper` with 61 points from -200 to 1000 cm^-1, and one change of ours: in training
gradients pass the last ReLU where it is zero, without which nine of the ten points below zero were
zero for every crystal. Training: `e3dos train imaginary --data-dir DATA`; matrices in float16.""",
        (f"--model imaginary --data {DFPT} --split valid",),
    ),
    "alloy": Card(
        "The paper's network with Mg3Bi2",
        """\
The preset `paper` with the spectrum of Mg3Bi2 (Agne et al. 2018) among the training data, for the
paper's study of Mg3Sb2(1-p)Bi2p. Training: `e3dos train alloy --data-dir DATA`. Both end members
are training data, so that these errors show the fit, not what the model foresees:

```console
$ python docs/examples/mg3sb2_bi2.py | grep 'alloy: MAE'
"""
        + "".join(
            line
            for line in (DOCS / "examples" / "output" / "mg3sb2_bi2.txt").open(encoding="utf-8")
            if "alloy: MAE" in line
        )
        + "```",
        (f"--model alloy --data {DFPT} --split valid",),
    ),
    "default": Card(
        "Site spectra, displacement tensors, sound velocity and stability from one network",
        """\
Every site has a spectrum of its own: 480 bins of 10 cm^-1 from -400 to 4400 cm^-1 that sum to
three modes. Three layers of equivariant convolutions (edge harmonics to l = 2, vectors as
hidden features) within 5 Å, element embeddings linear in the occupation, crystal-level context
(mean site features, volume per site, data source). Beside the spectra, the logarithm of each
site's displacement tensor at 100, 300 and 600 K (from l = 2 features), that of the sound
velocity, which fixes the lowest bins, and the probability that more than 1 % of the modes are
imaginary. Four heads on one trunk, each blind to the spectra of a quarter of the compositions,
are the members behind the error bars; their mean is the prediction, with error bars or without.

Trained on the phonon database of Kyoto University (A. Togo, version 2018-04-17, CC BY 4.0; crystals
of up to 48 sites), the DFPT training set (Petretto et al. 2018, CC BY 4.0), the JARVIS training set
(NIST) and phonons of the potential Nequix-OAM-1-PFT (weights CC BY 4.0, T. Koker et al.,
arXiv:2508.16067 and arXiv:2601.07742) at two strains, all without the formulas of both validation
sets, and on spectra that teachers predict for 22,000 crystals without labels: heads on the features
of that potential, the ensemble of seven networks of version 0.1, which is shipped as `jarvis`, and
networks of this kind. In the last stage, three times, `force-constants` and the network itself
(0.8 and 0.2 of the spectra) taught it crystals without labels, of JARVIS's training set, and such
as are made from small known ones by exchange of elements, 120,000 of them in the end, and 12,000
pairs at two strains; the numbers of each are in docs/models/default-training.md. What ships is a
mean of weights. Loss: Wasserstein distance, absolute and max-normalised squared differences,
site spectra, change with strain (docs/theory), logarithms of displacement tensors and sound
velocities, cross entropy of stability. Sites are displaced at random by 0.02 to 0.04 Å in training.
A fifth of the potential's formulas is kept out for the strain test.

Error bars: conformal, with factors for kinds of chemistry, fitted with a first network on crystals
of formulas that were kept out of its training by a hash, never on a validation set
(`docs/models/calibrate_default.py`). These crystals joined the training of later
stages, so that the network that ships errs less than the one that was calibrated; what its
intervals cover on the validation sets stands below. They speak for the labels' functional (PBEsol)
and for stable crystals. Watched during training, with nothing chosen by them: both validation sets.
Matrices are stored in float16. To train: `python docs/models/train_default.py --data-dir DATA
--potential FILE.nqx --former FILE --labels FILE`, then `python docs/models/distil_default.py
--data-dir DATA --start FILE`; what was tried is in docs/models.""",
        (
            f"--model default --data {DFPT} --split valid --by anion --by element",
            f"--model default --data {PHONONDB} --split valid --by anion --by element",
            f"--model default --source nequix --data {SITES}",
        ),
    ),
    "combined": Card(
        "Force constants and site spectra together",
        """\
Two shipped networks on one graph: three quarters of each spectrum are those of `force-constants`,
one is that of `default`, which also says displacement tensors, sound velocities and the
probability of imaginary modes. Their errors differ, so that the mean errs less than either. It
takes the time of force constants (docs/benchmarks/index.md has it). The weights file holds
no tensors of its own: it names both files, which lie beside it, with their digests
(`python docs/models/combine.py`).

The members behind the error bars are both networks (the heads of `default` in two groups), weighted
as in the mean. Intervals are fitted on crystals that `force-constants` never saw, of more sites
than it learned from, of formulas that are in none of its data and in neither validation set;
`default` has seen them (`python docs/models/calibrate_force_constants.py --data-dir DATA --weights
FILE`), so that for crystals unlike them, such as those of the DFPT validation set, they are too
narrow by a few per cent of coverage. The shares were chosen on that set, where 0.6 to 0.9 differ
little.""",
        (
            f"--model combined --data {DFPT} --split valid --by anion --by element",
            f"--model combined --data {PHONONDB} --split valid --by anion --by element",
        ),
    ),
    "force-constants": Card(
        "Force constants, Born charges and dielectric tensors",
        """\
The trunk of `default`, read out on the edges of a graph with a cut-off of 6 Å: a symmetric tensor
for each pair, and rows that make deformations of degree 0, 1 and 2 around each site, whose squares
add to the energy or are taken from it. Whatever the weights, the force constants are symmetric,
obey the acoustic sum rule and the crystal's symmetry, know no masses, and reach 12 Å. They are
the short-range part; Born charges and the dielectric tensor, outputs of the same features, give the
dipole-dipole part by the formula that phonopy uses. `predict` diagonalises them on a mesh
(docs/theory/force-constants.md), `E3DOSPhonopy(cell, model="force-constants")` gives them to
phonopy.

Trained on the finite displacements of the phonon database of Kyoto University (A. Togo, version
2018-04-17, CC BY 4.0; 4,498 primitive cells of up to 24 sites), first on dynamical matrices at
commensurate wave vectors with the dipoles of the labels, then with those of predicted charges, near
the zone's centre as well, and on spectra: the DFPT training set (Petretto et al. 2018, CC BY 4.0)
and phonons of the potential Nequix-OAM-1-PFT (weights CC BY 4.0, T. Koker et al., arXiv:2508.16067
and arXiv:2601.07742); all without the formulas of both validation sets. Stored in float16. To
train: `e3dos train force-constants --data-dir DATA`. The last two stages of 2,500 steps watched
entropies and imaginary modes as well. The weights that ship were trained by this trainer stage by
stage while it grew: the first 1,500 of their 12,250 steps with a sum rule that was not exact, and
only the last 2,500 with dipoles that obey it in full and have one width for all cells. What was
tried is in docs/models.

Error bars: the members behind them are the network's spectrum and that of `default`, whose
difference is what the intervals follow; the prediction is the network's alone. Conformal, fitted on
crystals larger than those that it was trained on, of formulas that are in none of its training data
and in neither validation set: 600 of the phonon database with 25 to 48 sites, 6 of the DFPT
training set with 13 to 48. Errors are per atom, in any cell alike. That intervals fitted on large
crystals hold for the small ones of the DFPT validation set (two to fifteen sites) is seen there,
not built in. `sound_velocity` has them, too. To calibrate: `python
docs/models/calibrate_force_constants.py --data-dir DATA --weights FILE`.

```console
$ python docs/models/calibrate_force_constants.py --data-dir DATA --weights FILE --check
"""
        + _output("calibrate_force_constants.txt")
        + """
```

```console
$ python docs/models/force_constants.py DATA
"""
        + _output("force_constants.txt")
        + """
```""",
        (
            f"--model force-constants --model default --data {DFPT} --split valid",
            f"--model force-constants --model default --data {PHONONDB} --split valid",
        ),
    ),
    "jarvis": Card(
        "Ensemble for JARVIS's functional",
        """\
The site-resolved ensemble of seven networks that was `default` in version 0.1, trained on the DFPT
training set, the JARVIS training set without the formulas of the DFPT validation set, and strained
phonons of a universal potential; as `model="jarvis"` it speaks for JARVIS's functional. Error bars:
four-fold cross-validation by composition in the DFPT training set, so that they say little of
JARVIS's spectra.""",
        (f"--model jarvis --data {JARVIS} --split valid",),
    ),
}


def facts(header: WeightsHeader, path: Path) -> str:
    """What the weights file says about itself, as a list."""
    elements = ", ".join(chemical_symbols[int(z)] for z in header.elements)
    hashes = "; ".join(f"{name} {digest[:16]}" for name, digest in header.trained_on.items())
    grid = header.grid
    return "\n".join(
        [
            f"- File: `{path.name}`, {path.stat().st_size / 1e6:.1f} MB, "
            f"{header.members} network{'s' if header.members > 1 else ''}",
            f"- Grid: {grid.n} points from {grid.start:g} to {grid.wavenumbers[-1]:g} cm^-1",
            f"- Encoder: {header.encoder}, version {header.encoder_version}",
            f"- Data sources: {', '.join(header.sources)}",
            f"- Training files (SHA-256): {hashes}",
            f"- Elements seen: {elements}",
            f"- Licence of the weights: {header.licence}",
            f"- Cite: {header.citation}",
        ]
    )


def evaluation(options: str, data_dir: Path) -> str:
    """A command and what it prints."""
    words = shlex.split(options)
    real = [str(data_dir / w) if w.endswith(".parquet") else w for w in words]
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            "from ase_e3dos.cli import main; main()",
            "evaluate",
            *real,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return f"```console\n$ e3dos evaluate {options}\n{done.stdout.strip()}\n```"


def main() -> None:
    """Write a card for each model whose weights are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("models", nargs="*", default=list(CARDS))
    options = parser.parse_args()
    for name in options.models:
        card, weights = CARDS[name], MODELS / f"{name}.safetensors"
        if not weights.is_file():
            print(f"{name}: no weights")
            continue
        parts = [
            f"# {name}: {card.title}",
            card.text,
            facts(read_header(weights), weights),
            "## Errors",
            *(evaluation(e, options.data_dir) for e in card.evaluations),
            "## Limits",
            LIMITS,
        ]
        (MODELS / f"{name}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
        print(f"{name}: written")


if __name__ == "__main__":
    main()
