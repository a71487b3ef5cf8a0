from __future__ import annotations

import json

import numpy as np
import pytest
from e3dos_thermochemistry import descriptor_above_hull, gas, hulls_of, read_entries
from e3dos_thermochemistry.errors import EntriesError
from monty.serialization import dumpfn
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry

EV = 96.485332


def _rocksalt(a, *symbols):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), symbols, [[0, 0, 0], [0.5, 0.5, 0.5]][: len(symbols)]
    ).get_primitive_structure()


@pytest.fixture(scope="module")
def entries():
    """Mg, Ca, O2, MgO, CaO and two mixtures, one far above the hull."""
    made = [
        (_rocksalt(4.5, "Mg"), -1.5),
        (_rocksalt(5.6, "Ca"), -2.0),
        (_rocksalt(4.212, "Mg", "O"), -12.0),
        (_rocksalt(4.811, "Ca", "O"), -13.0),
        (_rocksalt(4.6, "Mg", "O"), -11.9),
        (Structure(Lattice.cubic(4.0), ["O", "O"], [[0, 0, 0], [0, 0, 0.3]]), -10.0),
    ]
    return [ComputedStructureEntry(s, e, entry_id=f"id-{k}") for k, (s, e) in enumerate(made)]


@pytest.fixture(scope="module")
def spectra(entries, debye):
    """The same for each atom, so that vibrations decide nothing."""
    return [debye(e.structure, 400.0) for e in entries]


def test_without_vibrations_it_is_pymatgens_and_equal_vibrations_change_nothing(entries, spectra):
    found = hulls_of(entries, [0.0, 1500.0], gases={}, spectra=spectra)
    theirs = PhaseDiagram(entries)
    expected = [theirs.get_e_above_hull(e) for e in entries]
    static = found.static
    ours = sorted(static.all_entries, key=lambda e: e.attribute)
    assert [static.get_e_above_hull(e) for e in ours] == pytest.approx(expected, abs=1e-9)
    for row in found.above_hull:
        assert row == pytest.approx(expected, abs=1e-6)
    assert found.decomposition[0, 2] == pytest.approx(
        theirs.get_phase_separation_energy(entries[2]), abs=1e-6
    )
    assert found.covariance is None
    assert found.probability is None


def test_vertices_are_pymatgens_on_random_energies(entries, spectra):
    random = np.random.default_rng(1)
    compositions = ["Mg", "Ca", "O2", "MgO", "CaO", "MgCaO2", "Mg2Ca", "CaO2", "Mg3CaO4", "MgO"]
    for _ in range(20):
        these = [ComputedEntry(c, float(random.normal(-3, 2))) for c in compositions]
        found = hulls_of(entries, [300.0], gases={}, spectra=spectra)
        object.__setattr__(found, "entries", tuple(these))
        energies = np.array([e.energy_per_atom for e in these])
        stable = PhaseDiagram(these).stable_entries
        assert list(found._on_hull(energies)) == [e in stable for e in these]


def test_gas_lowers_its_free_energy_and_oxides_lose_to_it(entries, spectra):
    found = hulls_of(entries, [0.0, 1000.0], spectra=spectra, pressure=0.2)
    at = found.names.index("O2 (gas, 0.2 bar)")
    assert len(found.entries) == len(entries)
    oxygen = gas("O2")
    assert found.vibrational[0, at] * 2 * EV == pytest.approx(oxygen.zero_point_energy)
    expected = float(oxygen.gibbs(1000.0, 0.2)) + oxygen.above_energy
    assert found.vibrational[1, at] * 2 * EV == pytest.approx(expected)
    assert found.decomposition[1, 2] > found.decomposition[0, 2]


def test_probabilities_follow_the_error_bars(entries, predicted, rocksalt):
    oxide = predicted["MgO"]
    metal = [e for e in entries if e.composition.reduced_formula in ("Mg", "O2")]
    energy = float(entries[2].energy)
    near = [
        ComputedStructureEntry(rocksalt["MgO"], energy, entry_id="a"),
        ComputedStructureEntry(rocksalt["MgO"], energy + 2.0, entry_id="b"),
    ]
    from ase_e3dos import predict

    of_metal = predict(metal[0].structure)[0]
    found = hulls_of([*metal, *near], [300.0], spectra=[of_metal, None, oxide, oxide])
    probability = dict(zip(found.names, found.probability[0], strict=True))
    assert probability["MgO (a)"] == 1.0
    assert probability["MgO (b)"] == 0.0
    even = [*near[:1], ComputedStructureEntry(rocksalt["MgO"], energy + 1e-5, entry_id="c")]
    found = hulls_of(
        [*metal, *even], [300.0], spectra=[of_metal, None, oxide, oxide], energy_error=0.01
    )
    shares = [found.probability[0, found.names.index(f"MgO ({i})")] for i in "ac"]
    assert shares == pytest.approx([0.5, 0.5], abs=0.1)
    assert sum(shares) == pytest.approx(1.0)
    # one spectrum, whose error cancels; the errors of two energies do not
    k = next(k for k in (found.names.index(f"MgO ({i})") for i in "ac") if not found.stable[0, k])
    assert found.half_widths[0, k] == pytest.approx(np.sqrt(2) * 0.01, rel=0.02)


def test_descriptor_speaks_of_the_same_entries(entries, spectra):
    found = hulls_of(entries, [1000.0], spectra=spectra)
    theirs = descriptor_above_hull(found, 1000.0)
    assert theirs.shape == (len(found.entries),)
    assert theirs[found.names.index("MgO (id-2)")] == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(EntriesError, match="300 to 2000"):
        descriptor_above_hull(found, 100.0)


def test_reads_what_pymatgen_writes(entries, tmp_path):
    dumpfn(entries, tmp_path / "a.json.gz")
    (tmp_path / "b.json").write_text(json.dumps({"entries": [e.as_dict() for e in entries]}))
    for name in ("a.json.gz", "b.json"):
        read = read_entries(tmp_path / name)
        assert [e.energy for e in read] == [e.energy for e in entries]
        assert read[0].structure == entries[0].structure


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "cannot be read"), ("[]", "no list"), ('[{"a": 1}]', "entry 0"), ("[" * 9999, "read")],
)
def test_refuses_files_that_are_none(text, message, tmp_path):
    place = tmp_path / "entries.json"
    place.write_text(text)
    with pytest.raises(EntriesError, match=message):
        read_entries(place)


def test_says_what_is_missing(entries, spectra):
    with pytest.raises(EntriesError, match="elemental Mg"):
        hulls_of(entries[1:], [300.0], spectra=spectra[1:])
    with pytest.raises(EntriesError, match="no structure"):
        hulls_of([ComputedEntry(Composition("Mg"), -1.0)], [300.0])
    with pytest.raises(EntriesError, match="not negative"):
        hulls_of(entries, [-1.0])
