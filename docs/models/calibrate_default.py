"""Error bars for `default`, into the header of its weights file; the tensors stay as they are.

    python docs/models/calibrate_default.py --data-dir DATA --first FILE --weights FILE [-o FILE]

`default` has learned from all labels there are. What networks of its kind err by is seen on
crystals that none of its training had:

1. of the network of its first stage (`--first`: what `train_default.py` leaves in its output folder
   as first.safetensors; the repository has it as ase_e3dos/models/default.safetensors of commit
   343b4fc), the crystals that `train_default.held_out` names: some 1,170 of the phonon database and
   117 of the DFPT training set, both sets with the same weight;
2. of `default` itself, speaking for the potential, the formulas of the potential's set that all
   training leaves out (some 360 crystals: small, simple, of a chemistry that the DFT sets lack).
   These labels are of another functional: what they say is which kinds of crystals have larger
   errors than others, not how large errors are (`aside` of `fit_spread`); they have a share of
   0.15 of all weight.

With them go the lists of elements that crystals of the DFT training sets have next to each other,
and alone: where a crystal has others there is a warning. (What JARVIS and the potential have alone
does not count: spectra of theirs are of other functionals, and many far too soft.)

Other files name these weights by their digest, which the header is part of (`force-constants`,
whose error bars are made beside `default`, and `combined`, which names both): those given by
--follow, in this order, get the new digests and keep all else.

Neither validation set is touched. References have at most 1 % of imaginary modes. With --check
nothing is fitted: the coverage on both validation sets is printed, by quantity, and the lowest of
any class of anion or element with 20 crystals or more. Processor time: two minutes.
"""

from __future__ import annotations

import argparse
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from calibrate_force_constants import rounded
from train_default import CALIBRATED, DFPT, NEQUIX, PHONONDB, Key, held_out, only

from ase_e3dos.data.composition import composition_key, kept_out
from ase_e3dos.data.labelled_set import LabelledSet, read_labelled
from ase_e3dos.errors import E3DOSError
from ase_e3dos.evaluation.chemistry import elements_of
from ase_e3dos.evaluation.coverage import coverage
from ase_e3dos.evaluation.displacement_errors import displacement_coverage
from ase_e3dos.evaluation.predictions import (
    KEPT_OUT_SHARE,
    Predictions,
    open_predictor,
    predictions,
)
from ase_e3dos.evaluation.reference import imaginary_shares, reference_spectra
from ase_e3dos.network.weights import (
    read_header,
    replace_header,
    save_weights,
    weights_digest,
)
from ase_e3dos.prediction.bonds import seen_bonds
from ase_e3dos.structures.chemistry import anion_class
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.training.calibration import fit_calibration, with_displacements_and_sound
from ase_e3dos.training.config import read_config
from ase_e3dos.training.run import load_part
from ase_e3dos.training.selection import candidates
from ase_e3dos.training.weights_header import elements_alone

#: Weight of the potential's crystals beside that of the two DFT sets (one each).
POTENTIAL_WEIGHT = 0.3
#: Crystals of a class from which on its coverage is listed.
FEWEST = 20


def unseen(data_dir: Path, first: Path, weights: Path, compositions: set[Key]) -> list[Predictions]:
    """Predictions for crystals that training left out: phonon database, DFPT set, potential."""
    found = []
    predictor = open_predictor(first, "cpu")
    for part in read_config("default").data[:2]:
        labelled = only(candidates(load_part(part, data_dir), part), compositions)
        calm = labelled.subset(imaginary_shares(labelled) <= CALIBRATED)
        found.append(predictions(predictor, calm))
    labelled = read_labelled(data_dir / NEQUIX)
    chosen = kept_out(labelled.formulas, KEPT_OUT_SHARE)
    labelled = labelled.subset(chosen & (imaginary_shares(labelled) <= CALIBRATED))
    return [*found, predictions(open_predictor(weights, "cpu", "nequix"), labelled)]


def trained_on(data_dir: Path, hidden: set[Key]) -> list[Crystal]:
    """Crystals of the DFT training sets of the functional that the model speaks for."""
    parts = [(part, load_part(part, data_dir)) for part in read_config("default").data[:2]]
    return [
        c
        for part, labelled in parts
        for c in candidates(labelled, part).crystals
        if composition_key(c) not in hidden
    ]


def calibrate(found: list[Predictions], trained: list[Crystal], weights: Path) -> None:
    """Fit to what `unseen` gave, and write the header of the file."""
    counts = [len(f.spectra) for f in found]
    shares = np.repeat([1 / counts[0], 1 / counts[1], POTENTIAL_WEIGHT / counts[2]], counts)
    aside = np.repeat([False, False, True], counts)
    source = (
        f"{counts[0]} crystals of {PHONONDB} and {counts[1]} of {DFPT} kept out of the training of "
        f"a first network, and {counts[2]} of {NEQUIX} kept out of all training"
    )
    fitted = fit_calibration(
        [s for f in found for s in f.spectra],
        [s for f in found for s in reference_spectra(f.labelled)],
        source=source,
        weights=shares * sum(counts) / shares.sum(),
        aside=aside,
    )
    model = with_displacements_and_sound(fitted, found[0])
    header = read_header(weights)
    known = rounded(model.calibration.to_dict())
    trust = {**header.trust, "bonds": seen_bonds(trained), "alone": elements_alone(trained)}
    replace_header(weights, replace(header, calibration=known, trust=trust))
    print(f"{weights}: error bars from {source}")


def follow(files: list[Path], digests: dict[str, str]) -> None:
    """Give files that name weights by their digest the new ones, in the order of the files.

    What names the files themselves comes after them: their own digests change as well.
    """
    for file in files:
        header, before = read_header(file), weights_digest(file)
        companion = {k: digests.get(v, v) for k, v in header.companion.items()}
        parts = {
            prefix: {k: digests.get(v, v) for k, v in part.items()}
            for prefix, part in header.parts.items()
        }
        if companion == header.companion and parts == header.parts:
            raise E3DOSError(f"{file} names none of {', '.join(d[:12] for d in digests)}.")
        header = replace(header, companion=companion, parts=parts)
        if header.parts:
            save_weights(file, header, [{}])  # of parts alone, and without tensors of its own
        else:
            replace_header(file, header)
        digests = {**digests, before: weights_digest(file)}
        print(f"{file}: names the new digests")


def judges(data_dir: Path) -> dict[str, LabelledSet]:
    """The stable crystals of both validation sets."""
    found = {}
    for name in (DFPT, PHONONDB):
        labelled = read_labelled(data_dir / name).split("valid")
        found[name] = labelled.subset(imaginary_shares(labelled) <= CALIBRATED)
    return found


def check(sets: dict[str, LabelledSet], weights: Path) -> str:
    """Markdown: what the 90 % intervals cover on both validation sets, and widths."""
    predictor = open_predictor(weights, "cpu")
    rows: dict[str, list[str]] = {}
    classes: dict[str, list[list[int]]] = {}
    for name, labelled in sets.items():
        found = predictions(predictor, labelled)
        groups: dict[str, list[int]] = {}
        for k, crystal in enumerate(labelled.crystals):
            for group in (anion_class(crystal), *elements_of(crystal)):
                groups.setdefault(group, []).append(k)
        for row in coverage(found):
            at = f" {row.temperature:g} K" if row.temperature else ""
            inside = row.errors <= row.half_widths
            of_groups = [
                (float(inside[index].mean()), group)
                for group, index in groups.items()
                if len(index) >= FEWEST
            ]
            lowest = min(of_groups)
            classes[name] = [index for index in groups.values() if len(index) >= FEWEST]
            cells = [f"{row.covered[0.9]:.1%}", f"{lowest[0]:.0%} ({lowest[1]})"]
            rank = f"{row.rank_correlation:.2f} of {row.rank_attainable:.2f}"
            cells += [f"{row.width:.3g}", rank]
            rows.setdefault(row.quantity + at, []).extend(cells)
        own = displacement_coverage(found) if labelled.kind == "site" else {}
        for t, said in own.items():
            cells = [f"{said['cover90']:.1%}", "", f"{said['factor90']:.3f}", f"{said['rank']:.2f}"]
            rows.setdefault(f"U_iso {t:g} K", ["", "", "", ""]).extend(cells)
    head = "| 90 % intervals " + "".join(
        f"| {name}: covered | lowest class | width | rank " for name in ("DFPT", "phonondb")
    )
    table = [f"| {key} | {' | '.join(cells)} |" for key, cells in rows.items()]
    by_chance = [
        f"Exact 90 % intervals: lowest of the {len(index)} classes of "
        f"{'DFPT' if name == DFPT else 'phonondb'}, in the middle half of all draws, "
        "{:.0%} to {:.0%}.".format(*lowest_by_chance(index))
        for name, index in classes.items()
    ]
    return "\n".join([head + "|", "|---" + "|--:" * 8 + "|", *table, "", *by_chance])


def lowest_by_chance(classes: list[list[int]]) -> tuple[float, float]:
    """Quartiles of the lowest coverage of any class, where each crystal has a chance of 0.9.

    Parameters
    ----------
    classes : list of list of int
        Crystals of each; one may be in several.
    """
    n = 1 + max(max(index) for index in classes)
    inside = np.random.default_rng(0).random((2000, n)) < 0.9
    lowest = np.min([inside[:, index].mean(axis=1) for index in classes], axis=0)
    low, high = np.quantile(lowest, (0.25, 0.75))
    return float(low), float(high)


def main() -> None:
    """Calibrate a copy of the weights, or the file itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--first", type=Path, help="the network of the first stage")
    parser.add_argument("-o", "--output", type=Path, help="the file itself if not given")
    parser.add_argument("--follow", type=Path, nargs="*", default=[], help="files that name it")
    parser.add_argument("--check", action="store_true", help="print coverage, and fit nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if options.check:
        print(check(judges(options.data_dir), options.weights))
        return
    if options.first is None:
        parser.error("--first is needed to fit: the network of the first stage")
    output = options.output or options.weights
    if output != options.weights:
        shutil.copyfile(options.weights, output)
    before = weights_digest(output)
    compositions, hidden = held_out(options.data_dir)
    found = unseen(options.data_dir, options.first, output, compositions)
    calibrate(found, trained_on(options.data_dir, hidden), output)
    follow(options.follow, {before: weights_digest(output)})


if __name__ == "__main__":
    main()
