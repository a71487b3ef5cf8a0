"""Fit the error bars of displacement parameters, and write them into a weights file.

References are the site spectra of the formulas that training on strained cells left out (a fifth).
They were computed with a universal potential, so the network is asked to speak for that source
(`mlip`); the relative errors that are found are taken to hold for its other sources too.

    python docs/models/calibrate_displacements.py WEIGHTS.safetensors --data-dir DATA

Prints the errors and the coverage; with --dry-run it writes nothing. Networks stay as they are.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open

from ase_e3dos.analysis.displacements import QUANTITY
from ase_e3dos.evaluation.displacement_errors import (
    REPORTED,
    displacement_errors,
    displacement_section,
)
from ase_e3dos.evaluation.metrics import format_errors
from ase_e3dos.evaluation.predictions import evaluate
from ase_e3dos.network.weights import load_weights, save_weights
from ase_e3dos.spectrum.uncertainty import Calibration


def main() -> None:
    """Measure, print, and write unless told not to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = options.data_dir / "mlip_site_phonons.parquet"
    found = evaluate(options.weights, data, "kept-out", "cpu", "mlip").predictions
    assert found is not None
    errors = displacement_errors(found)
    for t in REPORTED:
        print(f"{t:g} K: {format_errors(displacement_section(errors, t))}")
    if options.dry_run:
        return
    header, states = load_weights(options.weights)
    old = Calibration.from_dict(header.calibration or {"spreads": {}})
    new = replace(old, spreads={**old.spreads, QUANTITY: errors.spreads()})
    with safe_open(options.weights, framework="pt") as handle:
        half = any(handle.get_slice(name).get_dtype() == "F16" for name in handle.keys())  # noqa: SIM118
    save_weights(options.weights, replace(header, calibration=new.to_dict()), states, half)
    print(f"{options.weights}: error bars of displacements written")


if __name__ == "__main__":
    main()
