"""Everything that `e3dos evaluate` says beyond the published measures, section by section."""

from __future__ import annotations

from dataclasses import replace

from ase_e3dos.evaluation.band_edges import band_edge_errors
from ase_e3dos.evaluation.coverage import coverage
from ase_e3dos.evaluation.displacement_errors import (
    REPORTED,
    displacement_coverage,
    displacement_errors,
    displacement_section,
)
from ase_e3dos.evaluation.predictions import Evaluation, Predictions, Section
from ase_e3dos.evaluation.site_response import site_errors, strain_response
from ase_e3dos.evaluation.stability import stability_errors
from ase_e3dos.evaluation.stable_errors import stable_sections
from ase_e3dos.evaluation.thermal_errors import thermal_errors

#: Stable formulas for the error bars of displacements: ten in each half that they are tried on.
FEWEST_FORMULAS = 20


def with_sections(evaluation: Evaluation) -> Evaluation:
    """The evaluation with the further sections that its data allow.

    Raw labels: thermal properties at 300 K and band edges. Raw and site labels: stable crystals,
    coverage of the intervals. Site labels: sites, strain and displacements. All: stability.
    """
    found = evaluation.predictions
    if found is None:
        return evaluation
    sections: dict[str, Section] = {}
    kind = found.labelled.kind
    if kind == "raw":
        sections["300 K"] = thermal_errors(found)
        sections["edges"] = band_edge_errors(found)
    if kind != "sampled":
        sections |= stable_sections(found)
        for row in coverage(found):
            at = f" {row.temperature:g} K" if row.temperature else ""
            sections[f"interval {row.quantity}{at}"] = row.row()
    if kind == "site":
        sections["sites"] = site_errors(found)
        strain = strain_response(found).summary()
        sections["strain"] = strain if strain["n_pairs"] else {}
        sections |= _displacements(found)
    sections["stability"] = stability_errors(found)
    return replace(evaluation, sections={k: v for k, v in sections.items() if v})


def _displacements(found: Predictions) -> dict[str, Section]:
    """Errors of U_iso; nothing for one network, or where too few crystals would say too little."""
    if not all(s.site_density is not None and s.members is not None for s in found.spectra):
        return {}
    if len(set(found.labelled.formulas)) < FEWEST_FORMULAS:
        return {}
    errors = displacement_errors(found, REPORTED)
    if len(set(errors.formulas)) < FEWEST_FORMULAS:
        return {}
    own = displacement_coverage(found)
    return {
        **{f"U_iso {t:g} K": displacement_section(errors, t) for t in REPORTED},
        **{f"interval u_iso {t:g} K": section for t, section in own.items()},
    }
