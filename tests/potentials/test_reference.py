"""Spectra by finite displacements against phonopy by hand, with potentials that ASE brings."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from ase_e3dos import PhononSpectrum, reference_spectrum
from ase_e3dos.errors import (
    ConvergenceWarning,
    DisorderError,
    ImaginaryWeightWarning,
    PotentialError,
)
from ase_e3dos.structures.crystal import Crystal

THZ_TO_CM = 33.3564095198
FACES = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
CRYSTALS = {
    "Cu": bulk("Cu", "fcc", a=3.6),
    "AuCu3": Atoms("AuCu3", scaled_positions=FACES, cell=np.eye(3) * 3.75, pbc=True),
}


def by_hand(atoms: Atoms, repeat: int, displacement: float) -> Phonopy:
    """phonopy step by step, forces of EMT."""
    cell = PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(),
    )
    phonon = Phonopy(cell, np.diag([repeat] * 3), primitive_matrix=np.eye(3))
    phonon.generate_displacements(distance=displacement)
    forces = []
    for s in phonon.supercells_with_displacements:
        image = Atoms(s.symbols, cell=s.cell, positions=s.positions, pbc=True)
        image.calc = EMT()
        forces.append(image.get_forces())
    phonon.forces = np.array(forces)
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    return phonon


@pytest.mark.filterwarnings("ignore:.*acoustic mode")
@pytest.mark.parametrize("name", CRYSTALS)
def test_spectra_are_those_of_phonopy_bin_by_bin(name: str) -> None:
    """Bins of the density that phonopy samples every 0.1 cm^-1, C_V and S of its own mesh.

    Where a tetrahedron is flat, all of it lies at one frequency and no sample finds it: so
    phonopy's densities hold up to 1 % less than 3N, by which the fullest bins differ.
    """
    atoms = CRYSTALS[name]
    options = {"supercell": (3, 3, 3), "displacement": 0.02, "mesh": 40.0}
    ours = reference_spectrum(atoms, EMT(), **options)
    phonon = by_hand(atoms, 3, 0.02)
    phonon.run_mesh(40.0)
    points = np.arange(0.05, 400.0, 0.1)  # cm^-1
    phonon.run_total_dos(
        freq_min=points[0] / THZ_TO_CM,
        freq_max=(points[-1] + 0.01) / THZ_TO_CM,
        freq_pitch=0.1 / THZ_TO_CM,
        use_tetrahedron_method=True,
    )
    theirs = (phonon.total_dos.dos * 0.1 / THZ_TO_CM).reshape(40, 100).sum(axis=1)
    counts = ours.density[40:80] * 10 / THZ_TO_CM
    lost = 3 * len(atoms) - theirs.sum()
    assert theirs.max() > 0.2
    assert abs(lost) < 0.01 * 3 * len(atoms)
    np.testing.assert_allclose(counts, theirs, atol=max(1e-3, lost))
    phonon.run_thermal_properties(temperatures=[300.0])
    known = phonon.thermal_properties
    assert ours.heat_capacity(300.0) == pytest.approx(known.heat_capacity[0], rel=5e-4)
    assert ours.entropy(300.0) == pytest.approx(known.entropy[0], rel=3e-3)


def test_sites_are_those_of_phonopys_projection() -> None:
    """Every site's density on the full mesh, where phonopy projects, in counts of 50 cm^-1."""
    ours = reference_spectrum(CRYSTALS["AuCu3"], EMT(), supercell=(2, 2, 2), mesh=30.0)
    phonon = by_hand(CRYSTALS["AuCu3"], 2, 0.01)
    phonon.run_mesh(30.0, is_mesh_symmetry=False, with_eigenvectors=True)
    phonon.run_projected_dos(
        freq_min=0.5 / THZ_TO_CM,
        freq_max=349.6 / THZ_TO_CM,
        freq_pitch=1.0 / THZ_TO_CM,
        use_tetrahedron_method=True,
    )
    theirs = phonon.projected_dos.projected_dos / THZ_TO_CM  # (sites, 350)
    theirs = theirs.reshape(4, 7, 50).sum(axis=2)
    counts = ours.site_density[:, 40:75].reshape(4, 7, 5).sum(axis=2) * 10 / THZ_TO_CM
    np.testing.assert_allclose(counts, theirs, atol=0.02)
    np.testing.assert_allclose(ours.site_density[1], ours.site_density[3], rtol=1e-12)


def test_it_says_how_it_came_about(tmp_path) -> None:
    """Settings stand in `origin`, survive a file, and there are no error bars."""
    stretched = bulk("Cu", "fcc", a=3.8)
    spectrum = reference_spectrum(stretched, "emt", supercell=5.0, mesh=10.0, relax="cell")
    assert spectrum.members is None
    assert spectrum.calibration is None
    assert spectrum.provenance.endswith("calculator emt, relaxed with emt")
    assert spectrum.origin["relaxation"]["volume_change"] == pytest.approx(-0.157, abs=0.01)
    assert [type(w).__name__ for w in spectrum.warnings] == ["UnlikelyVolumeWarning"]
    assert spectrum.origin["supercell_matrix"] == np.diag([3, 3, 3]).tolist()
    spectrum.write(tmp_path / "Cu.json")
    again = PhononSpectrum.read(tmp_path / "Cu.json")
    assert again == spectrum
    assert again.origin == spectrum.origin


def test_born_charges_split_the_optical_modes() -> None:
    """At half of the zone's edge nothing, at its centre phonopy's own correction."""
    from ase.calculators.lj import LennardJones

    salt = bulk("NaCl", "rocksalt", a=3.2)
    charges = {"born": np.array([np.eye(3), -np.eye(3)]), "dielectric": 2.5 * np.eye(3)}
    options = {"supercell": (2, 2, 2), "mesh": 8.0}
    plain = reference_spectrum(salt, LennardJones(sigma=1.4, rc=4.0), **options)
    corrected = reference_spectrum(salt, LennardJones(sigma=1.4, rc=4.0), born=charges, **options)
    assert corrected.origin["non_analytical_correction"]
    assert corrected.mean_wavenumber != pytest.approx(plain.mean_wavenumber, rel=1e-4)
    with pytest.raises(PotentialError, match="shape"):
        reference_spectrum(salt, LennardJones(), born={"born": np.eye(3), "dielectric": np.eye(3)})


def test_what_does_not_converge_is_said() -> None:
    """A supercell of one cell, and a structure with forces."""
    cubic = bulk("Cu", cubic=True)
    small = reference_spectrum(cubic, "emt", supercell=(1, 1, 1), mesh=10.0, check=True)
    assert set(small.origin["convergence"]) == {"mesh", "displacement", "supercell"}
    assert any(isinstance(w, ConvergenceWarning) for w in small.warnings)
    rattled = bulk("Cu", cubic=True)
    rattled.rattle(0.05, seed=1)
    moved = reference_spectrum(rattled, "emt", supercell=(1, 1, 1), mesh=5.0)
    assert "eV/Å" in str(moved.warnings[0])
    relaxed = reference_spectrum(rattled, "emt", supercell=(1, 1, 1), mesh=5.0, relax="positions")
    assert not relaxed.warnings


def test_isotopes_count() -> None:
    """Frequencies go with the inverse square root of the mass given."""
    heavy = bulk("Cu")
    heavy.set_masses([4 * heavy.get_masses()[0]])
    options = {"supercell": 5.0, "mesh": 10.0}
    ratio = [
        reference_spectrum(a, "emt", **options).origin["highest_wavenumber"]
        for a in (bulk("Cu"), heavy)
    ]
    assert ratio[0] / ratio[1] == pytest.approx(2.0, rel=1e-6)


def test_refusals() -> None:
    """Mixed sites, unknown elements and a step without an edge at zero are our own errors."""
    mixed = Crystal(np.eye(3) * 3.0, [[0, 0, 0]], [0, 0], [29, 79], [0.5, 0.5])
    with pytest.raises(DisorderError, match="one element"):
        reference_spectrum(mixed, "emt")
    with pytest.raises(PotentialError, match="emt failed"):
        reference_spectrum(bulk("Si"), "emt")
    with pytest.raises(PotentialError, match="determinant"):
        reference_spectrum(bulk("Cu"), "emt", supercell=(0, 1, 1))
    with pytest.raises(PotentialError, match="no installed plug-in offers the calculator 'emd'"):
        reference_spectrum(bulk("Cu"), "emd")


@pytest.mark.parametrize(
    "setting",
    [
        {"displacement": 0.0},
        {"displacement": -0.01},
        {"displacement": 0.6},
        {"mesh": 0.0},
        {"mesh": -10.0},
        {"supercell": -5.0},
        {"supercell": float("nan")},
        {"relax": "full"},
    ],
)
def test_settings_without_meaning_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(PotentialError, match=next(iter(setting))):
        reference_spectrum(bulk("Cu"), "emt", **setting)  # type: ignore[arg-type]


class Given(EMT):
    """A calculator whose forces are replaced."""

    def __init__(self, change) -> None:
        super().__init__()
        self.change = change

    def get_forces(self, atoms=None, **rest):
        return self.change(super().get_forces(atoms))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: 0 * f, "no force constant"),
        (lambda f: f[:, :2], "shape"),
        (lambda f: f + np.nan, "not finite"),
    ],
)
def test_what_is_wrong_with_forces_is_said(change, said: str) -> None:
    with pytest.raises(PotentialError, match=said) as caught:
        reference_spectrum(bulk("Cu"), Given(change), supercell=4.0, mesh=8.0)
    assert "element" not in str(caught.value)


def test_imaginary_modes_are_warned_of() -> None:
    spectrum = reference_spectrum(bulk("Cu", a=6.0), "emt", supercell=6.0, mesh=8.0)
    assert spectrum.imaginary_fraction > 0.01
    assert any(isinstance(w, ImaginaryWeightWarning) for w in spectrum.warnings)
