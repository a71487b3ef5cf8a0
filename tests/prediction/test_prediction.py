"""`predict`: what goes in, what comes out, and what is refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell
from phonopy.structure.atoms import PhonopyAtoms
from pymatgen.core import Lattice, Structure

from ase_e3dos import E3DOSPhonopy, PhononSpectrum, predict, predict_iter
from ase_e3dos.errors import (
    CrystalError,
    DeviceError,
    DisorderError,
    E3DOSError,
    EncoderError,
    ImaginaryModesError,
    IsotopeWarning,
    MagnetismWarning,
    OutOfDistributionWarning,
    PredictionError,
    UnknownModelError,
    UnreadableFileError,
    WeightsError,
)
from ase_e3dos.network.ensemble import Densities, Model, RunningBatch
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.prediction import batcher
from ase_e3dos.prediction.pipeline import Predictor, load_predictor
from ase_e3dos.prediction.sound import with_sound
from ase_e3dos.structures.crystal import Crystal

R = 8.314462618


@pytest.fixture
def stable() -> list[Atoms]:
    """Crystals that are stable in any textbook."""
    return [
        bulk("NaCl", "rocksalt", a=5.64),
        bulk("MgO", "rocksalt", a=4.212),
        bulk("Si", a=5.431),
        bulk("GaAs", "zincblende", a=5.6533),
        bulk("KBr", "rocksalt", a=6.6),
    ]


def test_spectra_obey_what_is_exact(shipped_model: str, stable: list[Atoms]) -> None:
    spectra = predict(stable, model=shipped_model)
    assert [s.crystal.numbers.tolist() for s in spectra] == [a.numbers.tolist() for a in stable]
    for s in spectra:
        assert isinstance(s, PhononSpectrum)
        assert s.model == shipped_model
        assert np.trapezoid(s.density, s.frequencies) == pytest.approx(3 * s.crystal.n_sites)
        np.testing.assert_allclose(s.wavenumbers, s.frequencies * 33.35640951, rtol=1e-9)
        assert (s.density >= 0).all()
        limit = 3 * s.crystal.n_sites * R * (1 - s.imaginary_fraction)
        assert s.heat_capacity(3000.0) == pytest.approx(limit, rel=0.01)
        assert 0 <= s.imaginary_fraction < 0.01
        every = np.arange(0.0, 3001.0, 50.0)
        for values in (s.heat_capacity(every), s.entropy(every), s.free_energy(every)):
            assert np.isfinite(values).all()
        assert (np.diff(s.heat_capacity(every)) > -1e-9).all()


def test_stable_crystals_do_not_leak_below_zero(default_model: str, stable: list[Atoms]) -> None:
    for s in predict(stable, model=default_model):
        assert s.imaginary_fraction < 0.002, s.crystal.formula


def test_sites_add_up(default_model: str, low_symmetry: Atoms) -> None:
    (s,) = predict([low_symmetry], model=default_model)
    assert s.site_density is not None
    np.testing.assert_allclose(s.site_density.sum(0), s.density, rtol=1e-6)
    np.testing.assert_allclose(np.trapezoid(s.site_density, s.frequencies, axis=1), 3, rtol=1e-6)


def test_every_kind_of_input_gives_the_same(shipped_model: str, tmp_path: Path) -> None:
    atoms = bulk("CsCl", "cesiumchloride", a=4.123)
    structure = Structure(Lattice.cubic(4.123), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    phonopy = PhonopyAtoms(
        symbols=["Cs", "Cl"], cell=np.eye(3) * 4.123, scaled_positions=[[0, 0, 0], [0.5] * 3]
    )
    path = tmp_path / "CsCl.cif"
    structure.to(filename=str(path))
    kinds = [atoms, structure, phonopy, Crystal.from_any(atoms), path, str(path)]
    spectra = predict(kinds, model=shipped_model)
    for s in spectra[1:]:
        np.testing.assert_allclose(s.density, spectra[0].density, atol=1e-5)
    for single in (atoms, structure, path, str(path)):
        (s,) = predict(single, model=shipped_model)
        np.testing.assert_allclose(s.density, spectra[0].density, atol=1e-5)


def test_per_atom_spectrum_is_that_of_any_cell(shipped_model: str, stable: list[Atoms]) -> None:
    for atoms in stable[:3]:
        cells = [
            atoms,
            atoms.repeat((2, 1, 3)),
            make_supercell(atoms, [[0, 1, 1], [1, 0, 1], [1, 1, 0]]),
        ]
        turned = atoms.copy()
        turned.rotate(37, (1, 2, 3), rotate_cell=True)
        spectra = [s.per_atom() for s in predict([*cells, turned], model=shipped_model)]
        top = spectra[0].density.max()
        for s in spectra[1:]:
            np.testing.assert_allclose(s.density, spectra[0].density, atol=1e-4 * top)


def test_order_and_batches_do_not_matter(
    shipped_model: str, stable: list[Atoms], low_symmetry: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = [*stable, low_symmetry, stable[0].repeat(2)]
    together = predict(several, model=shipped_model)
    backwards = predict(several[::-1], model=shipped_model)[::-1]
    monkeypatch.setattr("ase_e3dos.prediction.batcher.EDGE_BUDGET", {"cpu": 1, "cuda": 1})
    alone = predict(several, model=shipped_model)
    for a, b, c in zip(together, backwards, alone, strict=True):
        assert a.crystal.formula == b.crystal.formula == c.crystal.formula
        for other in (b, c):
            np.testing.assert_allclose(other.density, a.density, atol=1e-4 * a.density.max())


def test_uncertainty_is_what_the_model_has(default_model: str, rocksalt: Atoms) -> None:
    header = load_predictor(default_model).model.header
    members = header.members * header.settings.get("heads", 1)
    (s,) = predict([rocksalt], model=default_model)
    (quick,) = predict([rocksalt], model=default_model, uncertainty=False)
    assert quick.density_std is None
    if members == 1:
        assert s.density_std is None
        pytest.skip("the installed default model is a single network")
    assert s.members is not None
    assert s.members.shape == (members, len(s.wavenumbers))
    np.testing.assert_allclose(s.members.mean(0), s.density, atol=1e-3 * s.density.max())
    low, high = s.interval("heat_capacity", level=0.9, temperature=300.0)
    assert low < s.heat_capacity(300.0) < high


# Errors ---------------------------------------------------------------------------------------


def test_the_member_of_a_list_that_fails_is_named(shipped_model: str, tmp_path: Path) -> None:
    salt = bulk("NaCl", "rocksalt", a=5.64)
    with pytest.raises(CrystalError, match=r"structure 2 \(H2O\).*not periodic"):
        predict([salt, salt, Atoms("H2O", positions=np.eye(3))], model=shipped_model)
    with pytest.raises(UnreadableFileError, match=r"nothing\.cif"):
        predict([salt, tmp_path / "nothing.cif"], model=shipped_model)
    crowded = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 0.1]], cell=[3] * 3, pbc=True)
    with pytest.raises(CrystalError, match="structure 1"):
        predict([salt, crowded], model=shipped_model)


def test_a_failure_inside_the_network_is_named_and_stops_nobody_else(
    shipped_model: str, stable: list[Atoms], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = RunningBatch.densities

    def densities(self: RunningBatch, names: list[str]) -> Densities:
        bad = [name for name in names if "As" in name]
        if bad:
            raise PredictionError(f"{bad[0]}: the network gave zero at every frequency")
        return plain(self, names)

    monkeypatch.setattr(RunningBatch, "densities", densities)
    crystals = [Crystal.from_any(a) for a in stable]
    results = list(load_predictor(shipped_model).stream(crystals))
    assert [isinstance(r, PredictionError) for r in results] == [False, False, False, True, False]
    with pytest.raises(PredictionError, match="structure 3"):
        predict(stable, model=shipped_model)


def test_errors_of_a_stream_keep_their_place(shipped_model: str, stable: list[Atoms]) -> None:
    broken = CrystalError("third.cif: no")
    items = [*(Crystal.from_any(a) for a in stable[:2]), broken, Crystal.from_any(stable[2])]
    results = list(load_predictor(shipped_model).stream(iter(items)))
    assert results[2] is broken
    good = [r.crystal.formula for r in results if isinstance(r, PhononSpectrum)]
    assert good == ["NaCl", "MgO", "Si"]


def test_no_structures_is_no_error(shipped_model: str) -> None:
    assert predict([], model=shipped_model) == []


def test_unknown_names_are_refused_with_what_there_is(
    default_model: str, rocksalt: Atoms, tmp_path: Path
) -> None:
    with pytest.raises(UnknownModelError, match="default"):
        predict([rocksalt], model="no such model")
    with pytest.raises(WeightsError, match=r"gone\.safetensors"):
        predict([rocksalt], model=str(tmp_path / "gone.safetensors"))
    with pytest.raises(EncoderError, match="mass_one_hot"):
        predict([rocksalt], encoder="mass_two_hot")
    with pytest.raises(DeviceError, match="abacus"):
        predict([rocksalt], device="abacus")
    for error in (UnknownModelError, WeightsError, EncoderError, DeviceError, CrystalError):
        assert issubclass(error, E3DOSError)


def test_mixed_sites_take_the_alloy_encoder_or_are_refused(default_model: str) -> None:
    mixed = Structure(
        Lattice.cubic(5.5), [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    (s,) = predict([mixed], model=default_model)
    assert np.trapezoid(s.density, s.frequencies) == pytest.approx(6)
    with pytest.raises(DisorderError, match="alloy_multi_hot"):
        predict([mixed], model=default_model, encoder="mass_one_hot")


def test_alloy_encoder_changes_nothing_for_pure_sites(
    shipped_model: str, stable: list[Atoms]
) -> None:
    plain = predict(stable, model=shipped_model)
    alloy = predict(stable, model=shipped_model, encoder="alloy_multi_hot")
    for a, b in zip(plain, alloy, strict=True):
        np.testing.assert_array_equal(a.density, b.density)


# Trust ----------------------------------------------------------------------------------------


def test_isotopes_scale_frequencies_with_a_warning(default_model: str) -> None:
    atoms = bulk("Si", a=5.431)
    heavy = atoms.copy()
    heavy.set_masses(2 * atoms.get_masses())
    (light,) = predict([atoms], model=default_model)
    with pytest.warns(IsotopeWarning):
        (slow,) = predict([heavy], model=default_model)
    assert slow.mean_wavenumber == pytest.approx(light.mean_wavenumber / np.sqrt(2), rel=0.01)


def test_an_isolated_atom_is_not_trusted(shipped_model: str) -> None:
    with pytest.warns(OutOfDistributionWarning, match="no neighbour within 5"):
        predict([bulk("Ar", "sc", a=12.0)], model=shipped_model)


def test_a_molecule_in_a_box_is_not_trusted(default_model: str) -> None:
    if "filling" not in load_predictor(default_model).model.header.trust:
        pytest.skip("the installed default model states no range of densities")
    water = Atoms("OH2", positions=[[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    water.set_cell([15] * 3)
    water.pbc = True
    with pytest.warns(OutOfDistributionWarning, match="empty layer|more open"):
        predict([water], model=default_model)


def test_refusing_imaginary_modes_is_a_policy(default_model: str, rocksalt: Atoms) -> None:
    (s,) = predict([rocksalt], model=default_model)
    assert s.heat_capacity(300.0, imaginary="refuse") > 0
    leaky = np.array(s.density)
    leaky[s.wavenumbers < 0] = leaky.max()
    bad = PhononSpectrum(s.wavenumbers, leaky, crystal=s.crystal)
    with pytest.raises(ImaginaryModesError, match="refuse"):
        bad.heat_capacity(300.0, imaginary="refuse")


# The machinery --------------------------------------------------------------------------------


def test_predictors_are_loaded_once(default_model: str) -> None:
    assert load_predictor(default_model) is load_predictor(default_model)


def test_a_weights_file_that_was_replaced_is_read_again(default_model: str, tmp_path: Path) -> None:
    """Even by one of the same size and time of change, as `cp -p` and archives leave it."""
    from ase_e3dos.plugins import get_registry

    weights = get_registry().model(default_model).weights_path().read_bytes()
    used, other = tmp_path / "mine.safetensors", tmp_path / "other.safetensors"
    used.write_bytes(weights)
    first = load_predictor(used)
    assert load_predictor(used) is first
    status = used.stat()
    other.write_bytes(weights)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(used)
    assert used.stat().st_mtime_ns == status.st_mtime_ns
    second = load_predictor(used)
    assert second is not first
    used.write_bytes(weights)  # in place: the same file
    os.utime(used, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert load_predictor(used) is not second


def test_a_weights_file_is_a_model(default_model: str, rocksalt: Atoms, tmp_path: Path) -> None:
    from ase_e3dos.plugins import get_registry

    copied = tmp_path / "mine.safetensors"
    copied.write_bytes(get_registry().model(default_model).weights_path().read_bytes())
    (s,) = predict([rocksalt], model=str(copied))
    assert s.model == "mine"
    (expected,) = predict([rocksalt], model=default_model)
    np.testing.assert_array_equal(s.density, expected.density)
    assert Predictor(copied, "cpu").name == "mine"


def test_prediction_needs_no_network_connection(default_model: str) -> None:
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise RuntimeError('a connection was tried')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from ase.build import bulk; from ase_e3dos import predict\n"
        "print(predict([bulk('Cu')])[0].n_modes)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "3.0", done.stderr


def test_spectra_of_a_batch_are_those_of_the_plain_constructor() -> None:
    """Densities of a batch are normalised together."""
    crystals = [Crystal.from_any(a) for a in (bulk("Cu"), bulk("NaCl", "rocksalt", a=5.64))]
    for model in ("default", "paper"):
        predictor = Predictor(model, "cpu")
        densities = predictor.model.densities(
            predictor.collated([predictor.graph(c) for c in crystals]), ["Cu", "NaCl"]
        )
        densities = with_sound(crystals, predictor.model.wavenumbers, densities)
        sites = (slice(0, 1), slice(1, 3))
        for k, spectrum in enumerate(predictor.spectra(crystals)):
            per_site = None if densities.sites is None else densities.sites[sites[k]]
            plain = PhononSpectrum(
                predictor.model.wavenumbers,
                densities.crystals[k] if per_site is None else None,
                per_site,
                crystal=crystals[k],
                members=None if densities.members is None else densities.members[:, k],
            )
            for name in ("density", "site_density", "members", "density_std", "wavenumbers"):
                one, other = getattr(spectrum, name), getattr(plain, name)
                assert (one is None) == (other is None)
                if one is not None:
                    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)
            assert not spectrum.density.flags.writeable


def test_a_stream_is_read_no_further_than_a_batch_ahead(
    default_model: str, stable: list[Atoms], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(batcher.EDGE_BUDGET, "cpu", 200)
    read: list[int] = []

    def endless() -> Iterator[Atoms]:
        for k in count():
            read.append(k)
            yield stable[k % len(stable)]

    expected = predict(stable, model=default_model)
    stream = predict_iter(endless(), model=default_model)
    for k, spectrum in zip(range(12), stream, strict=False):
        other = expected[k % len(stable)]
        np.testing.assert_allclose(spectrum.density, other.density, atol=1e-4 * other.density.max())
        assert len(read) < k + 12
    broken = Atoms("H2O", positions=np.eye(3))
    results = list(predict_iter([stable[0], broken, stable[1]], default_model, errors="yield"))
    assert [isinstance(r, CrystalError) for r in results] == [False, True, False]
    stream = predict_iter([broken], default_model)
    with pytest.raises(CrystalError, match="structure 0"):
        next(stream)
    with pytest.raises(UnknownModelError):
        predict_iter([], "no such model")
    with pytest.raises(PredictionError, match="'Raise'"):
        predict_iter([], default_model, errors="Raise")


def test_memory_that_runs_out_is_survived_or_named(default_model: str, stable: list[Atoms]) -> None:
    """What CUDA raises, raised in the network where memory would run out."""
    predictor = load_predictor(default_model)
    layer = predictor.model.members[0].layers[0]
    tried: list[int] = []

    def look(layer: object, arguments: tuple[Any, Any, GraphBatch, Any]) -> None:
        tried.append(arguments[2].n_edges)
        if tried[-1] > 600:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    expected = predict(stable * 4, model=default_model)
    handle = layer.register_forward_pre_hook(look)
    try:
        spectra = predict(stable * 4, model=default_model)
        assert max(tried) > 600
        for one, other in zip(spectra, expected, strict=True):
            np.testing.assert_allclose(one.density, other.density, atol=1e-4 * other.density.max())
        large = bulk("NaCl", "rocksalt", a=5.64).repeat(3)
        with pytest.raises(PredictionError, match="memory does not suffice for its 54 sites"):
            predict([*stable, large], model=default_model)
    finally:
        handle.remove()
        predictor.batcher.budget = batcher.EdgeBudget("cpu")  # other tests share the predictor


@pytest.mark.parametrize("model", ["default", "paper"])
def test_overlapped_stream_equals_the_plain_one(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU does (graphs in a thread, results fetched one batch later), on the CPU."""
    monkeypatch.setitem(batcher.EDGE_BUDGET, "cpu", 100)
    predictor = Predictor(model, "cpu")
    lengths = (3.5, 3.6, 3.7, 5.0, 3.8)
    items: list[Crystal | E3DOSError] = [Crystal.from_any(bulk("Cu", a=a)) for a in lengths]
    items.insert(2, CrystalError("no crystal"))
    plain = list(predictor.stream(items))
    predictor.batcher.overlaps = True
    overlapped = list(predictor.stream(items))
    assert overlapped[2] is plain[2] is items[2]
    for one, other in zip(overlapped, plain, strict=True):
        if isinstance(one, PhononSpectrum):
            np.testing.assert_array_equal(one.density, other.density)
            assert one.crystal is other.crystal

    def broken() -> Iterator[Crystal]:
        yield items[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(predictor.stream(broken()))


def test_overlapped_stream_delivers_what_came_before_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the plain one does, whether reading fails or the networks do."""
    monkeypatch.setitem(batcher.EDGE_BUDGET, "cpu", 200)
    predictor = Predictor("paper", "cpu")
    crystals = [Crystal.from_any(bulk("Cu", a=3.5 + k / 100)) for k in range(7)]

    def broken() -> Iterator[Crystal]:
        yield from crystals
        raise OSError("the disk is gone")

    def delivered(overlaps: bool) -> list[Crystal | None]:
        predictor.batcher.overlaps = overlaps
        stream, found = predictor.stream(broken()), []
        with pytest.raises((OSError, RuntimeError), match=r"gone|lost"):
            found.extend(s.crystal for s in stream if isinstance(s, PhononSpectrum))
        return found

    plain = delivered(overlaps=False)
    assert 2 < len(plain) < 7
    assert delivered(overlaps=True) == plain == crystals[: len(plain)]

    start, calls = Model.start, []

    def failing(self: Model, batch: GraphBatch, uncertainty: bool = True) -> RunningBatch:
        calls.append(batch)
        if len(calls) > 2:
            raise RuntimeError("CUDA error: the device is lost")
        return start(self, batch, uncertainty)

    monkeypatch.setattr(Model, "start", failing)
    plain = delivered(overlaps=False)
    calls.clear()
    assert plain
    assert delivered(overlaps=True) == plain


@pytest.mark.gpu
@pytest.mark.parametrize("model", ["default", "paper"])
def test_a_gpu_predicts_as_the_cpu_does(model: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    crystals = [Crystal.from_any(bulk("NaCl", "rocksalt", a=5 + k / 100)) for k in range(200)]
    on_cpu, on_gpu = (Predictor(model, d).spectra(crystals) for d in ("cpu", "cuda"))
    for one, other in zip(on_gpu, on_cpu, strict=True):
        np.testing.assert_allclose(one.density, other.density, atol=1e-4 * other.density.max())


@pytest.mark.parametrize("model", [None, 3])
def test_what_is_no_name_of_a_model_is_refused(model):
    with pytest.raises(UnknownModelError, match="neither a name nor"):
        predict(bulk("Cu"), model=model)


@pytest.mark.parametrize("kind", ["ase", "phonopy", "pymatgen"])
@pytest.mark.usefixtures("default_model")
def test_moments_are_said_not_to_enter(kind):
    """By every way in, and not where all moments are zero."""
    salt = bulk("NaCl", "rocksalt", a=5.64)
    for moments in ([2.0, 0.0], [0.0, 0.0]):
        scaled = salt.get_scaled_positions()
        cell = {
            "ase": salt.copy(),
            "phonopy": PhonopyAtoms(
                ["Na", "Cl"], cell=salt.cell[:], scaled_positions=scaled, magnetic_moments=moments
            ),
            "pymatgen": Structure(
                salt.cell[:], ["Na", "Cl"], scaled, site_properties={"magmom": moments}
            ),
        }[kind]
        if kind == "ase":
            cell.set_initial_magnetic_moments(moments)
        for ask in (predict, lambda c: E3DOSPhonopy(c).spectrum):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                ask(cell)
            told = [w for w in caught if issubclass(w.category, MagnetismWarning)]
            assert len(told) == any(moments)
