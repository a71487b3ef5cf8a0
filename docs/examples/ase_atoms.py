"""Attach the predictor to ASE atoms: spectrum, free energy of a crystal, results in a file.

Run: python docs/examples/ase_atoms.py
"""

from __future__ import annotations

from ase.build import bulk
from ase.io import read, write
from ase.thermochemistry import CrystalThermo

from ase_e3dos import E3DOSPredictor
from ase_e3dos.export.ase import crystal_thermo_arguments


def main() -> None:
    """From atoms to a free energy and a file that keeps the spectrum."""
    atoms = bulk("MgO", "rocksalt", a=4.212)
    atoms.calc = E3DOSPredictor(temperature=300)

    spectrum = atoms.calc.get_phonon_dos()
    print(spectrum)
    print(f"average frequency {spectrum.mean_wavenumber:.0f} cm^-1")
    print(f"C_V(300 K) {atoms.calc.get_property('heat_capacity', atoms):.2f} J/(K mol)")

    # ASE's own thermochemistry on the predicted spectrum (eV)
    thermo = CrystalThermo(**crystal_thermo_arguments(spectrum))
    energy = thermo.get_helmholtz_energy(temperature=300, verbose=False)
    print(f"F(300 K) {energy:.4f} eV by ASE, {spectrum.free_energy(300.0) / 96.485:.4f} eV here")

    # ASE's writers drop results that they do not know; what is stored with the atoms stays.
    atoms.calc.store(atoms)
    write("MgO.extxyz", atoms)
    again = read("MgO.extxyz")
    print(
        f"from the file: S {again.info['e3dos_entropy']:.2f} J/(K mol), {again.info['e3dos_units']}"
    )


if __name__ == "__main__":
    main()
