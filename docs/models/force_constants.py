"""How well force constants are predicted, on crystals of formulas that no training set holds.

    python docs/models/force_constants.py DATA [--model force-constants] [--figure FILE]

DATA is the folder of the Parquet files. Prints errors at the points that the supercells of the DFT
calculations are commensurate with, and draws the bands of ten crystals beside those of DFT.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ase_e3dos import E3DOSPhonopy
from ase_e3dos.data.force_sets import ForceSets, LabelledMatrices, labelled_matrices, marked_ids
from ase_e3dos.network.dipoles import COULOMB
from ase_e3dos.network.lattice_dynamics import WAVENUMBER
from ase_e3dos.prediction.force_constants import force_constants_of

FIGURES = Path(__file__).parents[1] / "figures"
#: Ids in the phonon database of the crystals in the figure.
DRAWN = {
    "mp-4559": "BaCO$_3$",
    "mp-2763": "Nd$_2$O$_3$",
    "mp-632667": "YbH$_2$",
    "mp-28944": "BiTeCl",
    "mp-541912": "ZrNBr",
    "mp-16755": "MgAl$_2$S$_4$",
    "mp-971837": "ZnCdTe$_2$",
    "mp-10785": "RbLuSe$_2$",
    "mp-22882": "YbBr$_2$",
    "mp-7523": "Th$_2$TeN$_2$",
}


def wavenumbers(matrices: np.ndarray) -> np.ndarray:
    """cm^-1 of dynamical matrices in eV/(Å^2 amu)."""
    values = np.linalg.eigvalsh(matrices.astype(np.complex128))
    return np.asarray(WAVENUMBER * np.sign(values) * np.sqrt(np.abs(values)))


def predicted(label: LabelledMatrices, model: str) -> tuple[np.ndarray, Any]:
    """Dynamical matrices at the points of a label, and what they come from."""
    constants = force_constants_of(label.crystal, model)
    root = np.repeat(1 / np.sqrt(label.crystal.masses), 3)
    found = constants.at(torch.from_numpy(label.q))
    return found.numpy() * np.outer(root, root), constants


def table(sets: ForceSets, model: str, without: frozenset[str]) -> list[str]:
    """Markdown: errors over the crystals of the split `valid`."""
    errors, means, matrices, born, dielectric, stable, n = [], [], [], [], [], [], 0
    for row in sets.rows("valid"):
        if str(row["id"]) in without:
            continue
        label = labelled_matrices(row)
        found, constants = predicted(label, model)
        ours, theirs = wavenumbers(found), wavenumbers(label.total)
        n += 1
        errors.append(np.abs(ours - theirs).mean())
        means.append(abs(ours.mean() - theirs.mean()))
        difference = np.linalg.norm(found - label.total) / np.linalg.norm(label.total)
        matrices.append(difference)
        if theirs.min() > -5:
            stable.append(ours.min() > -5)
        if label.born is not None:
            born.append(np.abs(constants.born.numpy() - label.born).mean())
            size = np.trace(label.dielectric) / 3
            trace = float(constants.dielectric.trace()) / 3
            dielectric.append(abs(trace / size - 1))
    rows = [
        (
            "frequencies at commensurate points, mean of the crystals (cm⁻¹)",
            f"{np.mean(errors):.1f}",
        ),
        ("the same, median", f"{np.median(errors):.1f}"),
        ("mean frequency of the crystal (cm⁻¹)", f"{np.mean(means):.1f}"),
        ("dynamical matrices, Frobenius norm of the error (median)", f"{np.median(matrices):.1%}"),
        ("stable crystals that come out stable", f"{np.mean(stable):.1%} of {len(stable)}"),
        ("Born charges, each component (e)", f"{np.mean(born):.3f}"),
        ("dielectric constant (median)", f"{np.median(dielectric):.1%}"),
    ]
    head = [f"| {n} crystals of `valid` | error |", "| --- | ---: |"]
    return head + [f"| {name} | {value} |" for name, value in rows]


def bands(sets: ForceSets, model: str, figure: Path) -> None:
    """Draw the bands of ten crystals: DFT in grey, predicted in colour."""
    import matplotlib as mpl
    from ase import Atoms
    from matplotlib import pyplot as plt
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    mpl.use("Agg")
    rows = {str(r["id"]): r for r in sets.rows("valid") if str(r["id"]) in DRAWN}
    canvas, axes = plt.subplots(2, 5, figsize=(14, 6.2), layout="constrained")
    for axis, (name, title) in zip(axes.flat, DRAWN.items(), strict=True):
        row = rows[name]
        cell = PhonopyAtoms(
            numbers=row["numbers"],
            cell=np.reshape(row["cell"], (3, 3)),
            scaled_positions=np.reshape(row["positions_frac"], (-1, 3)),
        )
        matrices = {
            "supercell_matrix": np.reshape(row["supercell_matrix"], (3, 3)).astype(int),
            "primitive_matrix": np.reshape(row["primitive_matrix"], (3, 3)),
        }
        reference = Phonopy(cell, **matrices)
        n_atoms = len(reference.supercell)
        forces = np.reshape(row["forces_1e6"], (-1, n_atoms, 3)) * 1e-6
        moves = np.reshape(row["displacement"], (-1, 3))
        each = zip(row["displaced_atom"], moves, forces, strict=True)
        first = [{"number": int(a), "displacement": u, "forces": f} for a, u, f in each]
        reference.dataset = {"natom": n_atoms, "first_atoms": first}
        reference.produce_force_constants()
        reference.symmetrize_force_constants()
        label = labelled_matrices(row)
        if label.born is not None:
            reference.nac_params = {
                "born": label.born, "dielectric": label.dielectric, "factor": COULOMB,
            }  # fmt: skip
        ours = E3DOSPhonopy(cell, model=model, **matrices)
        primitive = reference.primitive
        path = Atoms(
            numbers=primitive.numbers, cell=primitive.cell,
            scaled_positions=primitive.scaled_positions, pbc=True,
        ).cell.bandpath(npoints=160)  # fmt: skip
        places, ticks, labels = path.get_linear_kpoint_axis()
        for phonon, style in (
            (reference, {"color": "0.6", "lw": 1.6}),
            (ours, {"color": "C0", "lw": 0.9}),
        ):
            phonon.run_qpoints(path.kpts)
            axis.plot(places, phonon.qpoints.frequencies * 33.35640951981521, **style)
        axis.set_xticks(ticks, [x.replace("G", "Γ") for x in labels], fontsize=7)
        axis.set_xlim(places[0], places[-1])
        axis.axhline(0, color="0.8", lw=0.5, zorder=0)
        axis.set_title(title, fontsize=10)
    for axis in axes[:, 0]:
        axis.set_ylabel("wavenumber (cm$^{-1}$)")
    handles = [mpl.lines.Line2D([], [], color=c, lw=w) for c, w in (("0.6", 1.6), ("C0", 0.9))]
    canvas.legend(
        handles, ["DFT (PBEsol)", "predicted"], loc="outside lower center", ncols=2, frameon=False
    )
    canvas.savefig(figure, dpi=110)


def main() -> None:
    """Print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="force-constants")
    parser.add_argument("--figure", type=Path, default=FIGURES / "force_constants_bands.png")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sets = ForceSets(options.data / "dft_phonondb_forces.parquet")
    without = marked_ids(options.data / "dft_phonondb.parquet")
    print("\n".join(table(sets, options.model, without)))
    bands(sets, options.model, options.figure)


if __name__ == "__main__":
    main()
