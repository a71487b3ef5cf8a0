"""Error bars for `force-constants`, or for `combined`: into the header of the weights file.

    python docs/models/calibrate_force_constants.py --data-dir DATA --weights FILE -o FILE [--check]

The network is alone, so that a second opinion stands in the place of an ensemble: the members
behind its error bars are its own spectrum and that of `default`, and intervals follow how far the
two differ. They are fitted on crystals that the network never saw, with formulas that are in none
of its training data and in neither validation set: of the phonon database, whose cells of up to 24
sites it learned from, 600 with 25 to 48 sites; of the DFPT training set, whose cells of up to 12
sites it learned from, the larger ones. Their references have at most 1 % of imaginary modes. All
errors are per atom, and no covariate is the size of the cell. Files with more training data are
named by --also: their formulas are left out.

`combined` has two networks of its own, whose difference is what its intervals follow; of its parts,
`default` has seen these crystals. Its sound velocities are those of `default`, and so are their
error bars: fit those first (`calibrate_default.py`).

Tensors are left as they are. With --check the coverage on both validation sets is printed, of U_iso
as well (`e3dos evaluate` prints the rest). Without it the script takes some three minutes.
"""

from __future__ import annotations

import argparse
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ase_e3dos.data.composition import composition_key
from ase_e3dos.data.labelled_set import LabelledSet, read_labelled
from ase_e3dos.errors import E3DOSError
from ase_e3dos.evaluation.coverage import coverage
from ase_e3dos.evaluation.displacement_errors import displacement_coverage
from ase_e3dos.evaluation.predictions import Predictions, open_predictor, predictions
from ase_e3dos.evaluation.reference import imaginary_shares, reference_spectra
from ase_e3dos.network.weights import read_header, replace_header, weights_digest
from ase_e3dos.plugins import get_registry
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.spectrum.uncertainty import SOUND, Calibration
from ase_e3dos.training.calibration import (
    CalibratedModel,
    fit_calibration,
    transferred,
    with_displacements_and_sound,
)

PHONONDB, DFPT, NEQUIX = "dft_phonondb.parquet", "dfpt_petretto.parquet", "mlip_nequix.parquet"
#: Sites of the largest crystals that training saw, of each file; of the largest to predict here.
SEEN, LARGEST = {PHONONDB: 24, DFPT: 12}, 48
CRYSTALS = 600
#: References with a larger share of imaginary modes calibrate nothing.
CALIBRATED = 0.01


def unseen(sets: dict[str, LabelledSet], others: list[LabelledSet]) -> dict[str, LabelledSet]:
    """Crystals of training splits that are larger than what was trained on, of other formulas."""
    keys = {name: [composition_key(c) for c in s.crystals] for name, s in sets.items()}
    known = {composition_key(c) for s in others for c in s.crystals}
    for name, labelled in sets.items():
        rows = zip(keys[name], labelled.splits, labelled.n_sites, strict=True)
        known |= {k for k, split, n in rows if split == "valid" or n <= SEEN[name]}
    found = {}
    for name, labelled in sets.items():
        chosen = (labelled.n_sites > SEEN[name]) & (labelled.n_sites <= LARGEST)
        chosen &= imaginary_shares(labelled) <= CALIBRATED
        chosen &= np.array([s == "train" for s in labelled.splits])
        chosen &= np.array([k not in known for k in keys[name]])
        drawn: NDArray[np.int64] = np.random.default_rng(0).permutation(np.flatnonzero(chosen))
        found[name] = labelled.subset(drawn[:CRYSTALS])
    return found


def calibrate(sets: dict[str, LabelledSet], others: list[LabelledSet], weights: Path) -> None:
    """Fit the error bars, and write them into the header of the file."""
    header = read_header(weights)
    companion = {}
    if not header.parts:
        beside = get_registry().resolve_model("default").weights_path()
        companion = {"model": "default", "sha256": weights_digest(beside)}
    header = replace(header, companion=companion, calibration=None)
    replace_header(weights, header)
    predictor = Predictor(weights, "cpu")
    chosen = unseen(sets, others)
    found = {name: predictions(predictor, s) for name, s in chosen.items() if len(s.ids)}
    predicted = [s for f in found.values() for s in f.spectra]
    reference = [s for f in found.values() for s in reference_spectra(f.labelled)]
    counts = " and ".join(f"{len(f.spectra)} of {name}" for name, f in found.items())
    source = f"crystals that training did not see: {counts}"
    fitted = fit_calibration(predicted, reference, source=source)
    model = with_displacements_and_sound(fitted, found[PHONONDB])
    if header.parts:
        model = with_sound_of_default(model, found, weights.with_name("default.safetensors"))
    trust = {**header.trust, "disagreement": [model.disagreement]}
    fitted_errors = rounded(model.calibration.to_dict())
    replace_header(weights, replace(header, calibration=fitted_errors, trust=trust))
    print(f"{weights}: error bars from {counts}")


def with_sound_of_default(
    model: CalibratedModel, found: dict[str, Predictions], default: Path
) -> CalibratedModel:
    """The error model with that of the sound velocity as `default` has it, whose values they are.

    It is calibrated on crystals that its network had not seen; the spread that it depends on is
    measured in units of its median, which differs between the two models.
    """
    own = open_predictor(default, "cpu")
    known = own.model.header.calibration
    if known is None:
        raise E3DOSError(f"{default} has no error bars: run calibrate_default.py first.")
    sound = Calibration({SOUND: Calibration.from_dict(known).spreads[SOUND]})
    spectra = [s for f in found.values() for s in f.spectra]
    by_default = [s for f in found.values() for s in predictions(own, f.labelled).spectra]
    moved = transferred(replace(model, calibration=sound), by_default, spectra).calibration
    spreads = {**model.calibration.spreads, **moved.spreads}
    return replace(model, calibration=replace(model.calibration, spreads=spreads))


def rounded(value: Any) -> Any:
    """Numbers with five digits, which is more than they hold, in half the space."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list) else value


def check(sets: dict[str, LabelledSet], weights: Path) -> list[str]:
    """Markdown: what the 90 % intervals cover on the validation sets, and rank correlations."""
    predictor = Predictor(weights, "cpu")
    rows: dict[str, list[str]] = {}
    for name in (DFPT, PHONONDB):
        valid = sets[name].split("valid")
        found = predictions(predictor, valid.subset(imaginary_shares(valid) <= CALIBRATED))
        for row in coverage(found):
            at = f" {row.temperature:g} K" if row.temperature else ""
            cells = f"{row.covered[0.9]:.1%} | {row.rank_correlation:.2f}"
            rows.setdefault(row.quantity + at, []).append(cells)
        own = displacement_coverage(found) if found.labelled.kind == "site" else {}
        for t, said in own.items():
            cells = f"{said['cover90']:.1%} | {said['rank']:.2f}"
            rows.setdefault(f"U_iso {t:g} K", ["— | —"]).append(cells)
    head = "| 90 % intervals | DFPT: covered | rank | phonondb: covered | rank |"
    table = [f"| {key} | {' | '.join(cells)} |" for key, cells in rows.items()]
    return [head, "| --- | --: | --: | --: | --: |", *table]


def main() -> None:
    """Calibrate a copy of the weights, or the file itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, help="the file itself if not given")
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="more training data")
    parser.add_argument("--check", action="store_true", help="print coverage, and fit nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    sets = {name: read_labelled(options.data_dir / name) for name in (PHONONDB, DFPT)}
    if options.check:
        print("\n".join(check(sets, options.weights)))
        return
    output = options.output or options.weights
    if output != options.weights:
        shutil.copyfile(options.weights, output)
    others = [read_labelled(f) for f in (options.data_dir / NEQUIX, *options.also)]
    calibrate(sets, others, output)


if __name__ == "__main__":
    main()
