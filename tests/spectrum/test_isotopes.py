from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import bulk

from ase_e3dos import PhononSpectrum, predict
from ase_e3dos.errors import IsotopeWarning
from ase_e3dos.spectrum.isotopes import moves_of, stretch, total_factor, with_masses


def compared(model, changes):
    """Site spectra, masses and exact spectra for changed masses, on the models' grid."""
    before = model.spectrum(10)
    after = model.with_masses(changes).spectrum(10)
    x = before.wavenumbers
    return (
        x,
        before,
        after,
        with_masses(before.site_density, x, before.crystal.masses, after.crystal.masses)[0],
    )


def mean(x, rows):
    total = rows.sum(axis=0)
    return total @ x / total.sum()


def distance(x, a, b):
    a, b = a.sum(axis=0), b.sum(axis=0)
    return np.abs(np.cumsum(a / a.sum() - b / b.sum())).sum() * (x[1] - x[0])


CASES = [
    ("silicon_carbide", {"C": 13.5}),
    ("silicon_carbide", {"Si": 42.0}),
    ("copper_gold", {"Cu": 63.546 * 1.5}),
    ("copper_gold", {"Au": 196.97 * 0.7}),
    ("salt_model", {"Na": 46.0}),
    ("salt_model", {"Cl": 28.0}),
    ("salt_model", {"Na": 11.5, "Cl": 37.0}),
]


@pytest.mark.parametrize(("which", "changes"), CASES)
def test_average_frequency_against_the_same_force_constants(which, changes, request):
    model = request.getfixturevalue(which)
    x, before, after, ours = compared(model, changes)
    shift = mean(x, after.site_density) - mean(x, before.site_density)
    assert abs(shift) > 4.0
    found = mean(x, ours) - mean(x, before.site_density)
    assert found == pytest.approx(shift, rel=0.05)
    # better than stretching the sites one by one, and than a common factor
    factors = np.sqrt(before.crystal.masses / after.crystal.masses)
    naive = stretch(before.site_density, x, factors)
    assert distance(x, ours, after.site_density) < 0.7 * distance(x, naive, after.site_density)


@pytest.mark.parametrize("factor", [0.99, 1.0001, 1.01, 1.02])
@pytest.mark.parametrize(
    ("which", "element"),
    [(w, e) for w, pair in (("silver_aluminium", "AgAl"), ("platinum_copper", "PtCu"))
     for e in (pair[:2], pair[2:])],
)  # fmt: skip
def test_small_changes_follow_the_first_order(which, element, factor, request):
    """The shift of phonopy's modes, not of a histogram, and the rule of perturbation theory."""
    model = request.getfixturevalue(which)
    symbols = model.atoms.get_chemical_symbols()
    mass = factor * model.atoms.get_masses()[symbols.index(element)]
    x, before, _, ours = compared(model, {element: mass})
    exact = model.with_masses({element: mass}).modes(10)[0].mean() - model.modes(10)[0].mean()
    found = mean(x, ours) - mean(x, before.site_density)
    assert found == pytest.approx(exact, rel=0.02)
    own = before.site_density[symbols.index(element)] @ x / before.site_density.sum()
    assert found == pytest.approx(-0.5 * own * np.log(factor), rel=0.02)


@pytest.mark.parametrize(("which", "changes"), CASES)
def test_second_moments_and_weights_are_exact(which, changes, request):
    model = request.getfixturevalue(which)
    x, before, after, ours = compared(model, changes)
    ratio = before.crystal.masses / after.crystal.masses
    assert ours @ x**2 == pytest.approx(before.site_density @ x**2 * ratio, rel=3e-3)
    assert ours.sum(axis=1) == pytest.approx(before.site_density.sum(axis=1))
    assert (ours >= 0).all()


def test_a_common_factor_is_a_stretch(salt):
    x, rows = salt.wavenumbers, salt.site_density
    masses = salt.crystal.masses
    doubled, moves = with_masses(rows, x, masses, 2 * masses)
    stretched = stretch(rows, x, [0.5**0.5] * 2)
    assert doubled == pytest.approx(stretched, abs=0.03 * stretched.max())
    assert mean(x, doubled) == pytest.approx(mean(x, rows) * 0.5**0.5)
    assert doubled @ x**2 == pytest.approx(rows @ x**2 / 2)
    assert moves.sum(axis=0) == pytest.approx(1.0)
    same, _ = with_masses(rows, x, masses, masses)
    assert same == pytest.approx(rows)


def test_moves_keep_weight_even_off_the_grid(salt):
    x = salt.wavenumbers
    for factor in (0.3, 1.0, 3.0):
        moves = moves_of(x, np.full(len(x), factor))
        assert moves.sum(axis=0) == pytest.approx(1.0)
        assert (moves >= 0).all()


def test_without_site_spectra_a_mass_still_counts(lattices, salt_model):
    """Lithium hydride's hydrogen and both ions of salt: within 10 % of the exact shift."""
    hydride = lattices.springs(bulk("LiH", "rocksalt", a=4.08), [(2.1, 1.0, 0.2), (3.0, 0.3, 0.0)])
    for model, change in (
        (hydride, {"H": 2.014}),
        (salt_model, {"Na": 46.0}),
        (salt_model, {"Cl": 71.0}),
    ):
        before, after = model.spectrum(10), model.with_masses(change).spectrum(10)
        factor = total_factor(before.crystal.masses, after.crystal.masses)
        shift = after.mean_wavenumber - before.mean_wavenumber
        assert before.mean_wavenumber * (factor - 1) == pytest.approx(shift, rel=0.10)


def test_prediction_obeys_the_second_moment_rule(default_model):
    atoms = bulk("LiH", "rocksalt", a=4.08)
    heavy = atoms.copy()
    heavy.set_masses([6.94, 2.014])
    (light,) = predict([atoms], model=default_model)
    with pytest.warns(IsotopeWarning):
        (slow,) = predict([heavy], model=default_model)
    x = light.wavenumbers
    square = x * np.abs(x)
    ratio = light.crystal.masses / slow.crystal.masses
    assert slow.site_density @ square == pytest.approx(
        light.site_density @ square * ratio, rel=5e-3
    )
    assert slow.members is None or slow.members.shape == light.members.shape
    assert slow.mean_wavenumber < 0.9 * light.mean_wavenumber
    text = json.dumps(slow.as_dict(), allow_nan=False)
    again = PhononSpectrum.from_dict(json.loads(text))
    assert again == slow
    assert [(type(w), str(w)) for w in again.warnings] == [(IsotopeWarning, str(slow.warnings[0]))]
    former = {k: v for k, v in json.loads(text).items() if k != "warnings"}
    assert PhononSpectrum.from_dict(former).warnings == ()


def test_command_scales_an_element_as_a_whole(default_model, run_cli, tmp_path, crystals_folder):
    """Where all masses change alike, all frequencies do: as m^(-1/2)."""
    figure = tmp_path / "f.png"
    file = crystals_folder / "Si.vasp"
    arguments = ["isotopes", file, "--model", default_model, "--json"]
    code, out, err = run_cli(*arguments, "--mass", "Si=30.0", "--plot", figure)
    assert code == 0, err
    content = json.loads(out)
    ratio = (28.085 / 30.0) ** 0.5
    for name in ("average frequency (cm^-1)", "zero-point energy (kJ/mol)"):
        assert content["changed"][name] / content["standard"][name] == pytest.approx(
            ratio, rel=2e-3
        )
    assert figure.stat().st_size > 1000
    for wrong in ("C=13", "Si", "Si=heavy", "Si=-3"):
        code, _, err = run_cli(*arguments, "--mass", wrong)
        assert code == 2
        assert "mass in amu" in err


def test_displacements_follow_masses_by_what_is_exact(default_model):
    """All masses times R: U(T) becomes R^(-1/2) U(T R^(1/2)), and at high T it stays."""
    t = np.array([0.0, 100.0, 300.0, 3000.0])
    for atoms in (bulk("LiH", "rocksalt", a=4.08), bulk("GaAs", "zincblende", a=5.65)):
        (light,) = predict([atoms], model=default_model)
        for ratio, rel in ((1.01, 2e-3), (4.0, 0.06)):
            heavy = atoms.copy()
            heavy.set_masses(ratio * atoms.get_masses())
            with pytest.warns(IsotopeWarning):
                (slow,) = predict([heavy], model=default_model)
            exact = light.u_iso(t * ratio**0.5) * ratio**-0.5
            assert slow.u_iso(t) == pytest.approx(exact, rel=rel)
            assert slow.u_iso(3000.0) == pytest.approx(exact[:, -1], rel=1e-3)
            thirds = np.trace(slow.u_tensor(t), axis1=-2, axis2=-1) / 3
            assert thirds == pytest.approx(slow.u_iso(t))


def test_one_other_atom_hardly_moves_the_rest(default_model):
    atoms = bulk("LiH", "rocksalt", a=4.08).repeat((2, 1, 1))
    masses = atoms.get_masses()
    masses[1] = 2.014
    heavy = atoms.copy()
    heavy.set_masses(masses)
    (light,) = predict([atoms], model=default_model)
    with pytest.warns(IsotopeWarning):
        (slow,) = predict([heavy], model=default_model)
    ratio = slow.u_iso(300.0) / light.u_iso(300.0)
    assert 0.70 < ratio[1] < 0.85
    # The neighbouring H by a per cent: who moves in a mode is known by the shares of its bin alone.
    assert np.delete(ratio, 1) == pytest.approx(1.0, abs=0.015)
