"""Both networks as a whole: sizes, symmetries, and the spectrum that is zero everywhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell
from scipy.spatial.transform import Rotation
from torch import Tensor

from ase_e3dos.errors import DeviceError, PredictionError, WeightsError
from ase_e3dos.network.alike import groups_of_alike
from ase_e3dos.network.device import resolve_device
from ase_e3dos.network.ensemble import Model
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.network.paper import PaperNetwork, PaperSettings
from ase_e3dos.network.site import SiteNetwork
from ase_e3dos.network.site_trunk import SiteSettings
from ase_e3dos.network.weights import GridHeader, WeightsHeader
from ase_e3dos.spectrum.displacement_tensors import tensors_from_logs
from ase_e3dos.structures.crystal import Crystal

BatchOf = Callable[..., GraphBatch]
Spectra = Callable[..., Tensor]


@pytest.fixture(params=["paper", "site", "site with tensors", "site with blocks"])
def spectra(request: pytest.FixtureRequest, batch_of: BatchOf) -> Spectra:
    """Structures to per-crystal outputs of an untrained network, far from zero and smooth."""
    torch.manual_seed(3)
    if request.param == "paper":
        network: torch.nn.Module = PaperNetwork(PaperSettings(channels=8, embedding=16))
        return lambda *s: network.crystal_scalars(batch_of(*s))
    tensors = 6 if "tensors" in request.param else 0
    settings = SiteSettings(
        n_bins=40,
        scalars=24,
        vectors=8,
        tensors=tensors,
        message_tensors=tensors,
        hidden=32,
        read_blocks=2 if "blocks" in request.param else 0,
    )
    masses = torch.full((settings.n_features,), 60.0)
    network = with_trained_blocks(SiteNetwork(settings, masses))

    def site(*structures: Atoms) -> Tensor:
        batch = batch_of(*structures, self_edges=False)
        total = torch.zeros(batch.n_crystals, settings.n_bins)
        total = total.index_add(0, batch.crystal_index, network(batch).log_weights[0].exp())
        return total / batch.n_sites.unsqueeze(1)

    return site


def with_trained_blocks(network: SiteNetwork) -> SiteNetwork:
    """Its blocks, which begin as the identity, away from that."""
    for block in network.read_blocks:
        torch.nn.init.normal_(block.second.weight, std=0.2)
    return network


def assert_same(one: Tensor, other: Tensor) -> None:
    scale = float(one.detach().abs().max())
    torch.testing.assert_close(one, other, atol=2e-5 * scale, rtol=0)


def moved(atoms: Atoms, how: str) -> Atoms:
    new = atoms.copy()
    if how == "rotation":
        turn = Rotation.random(random_state=1).as_matrix()
        new.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    elif how == "inversion":
        new.set_cell(-atoms.cell.array, scale_atoms=True)
    elif how == "translation":
        new.positions += [0.37, -11.2, 4.4]
    elif how == "permutation":
        new = new[np.random.default_rng(0).permutation(len(new))]
    elif how == "another cell of the lattice":
        new = make_supercell(atoms, [[1, 1, 0], [0, 1, -2], [0, 0, 1]])
    elif how == "supercell":
        new = make_supercell(atoms, [[2, 0, 1], [0, 1, 0], [0, 0, 1]])
    return new


@pytest.mark.parametrize(
    "how",
    [
        "rotation",
        "inversion",
        "translation",
        "permutation",
        "another cell of the lattice",
        "supercell",
    ],
)
def test_spectrum_does_not_depend_on_the_description(
    spectra: Spectra, low_symmetry: Atoms, how: str
) -> None:
    assert_same(spectra(moved(low_symmetry, how)), spectra(low_symmetry))


def test_spectrum_does_depend_on_the_structure(spectra: Spectra, low_symmetry: Atoms) -> None:
    """The tests of invariance would pass on a network that sees nothing."""
    reference = spectra(low_symmetry)
    shifted, swapped = low_symmetry.copy(), low_symmetry.copy()
    shifted.positions[0] += 0.3
    swapped.symbols[0] = "Ba"
    for other in (shifted, swapped):
        change = (spectra(other) - reference).abs().max() / reference.abs().max()
        assert float(change.detach()) > 1e-3


def test_batch_equals_single(spectra: Spectra, low_symmetry: Atoms, rocksalt: Atoms) -> None:
    several = [rocksalt, low_symmetry, bulk("Cu"), bulk("Si", cubic=True), rocksalt]
    one_by_one = torch.cat([spectra(s) for s in several])
    assert_same(spectra(*several), one_by_one)


def test_paper_network_has_the_sizes_of_the_paper() -> None:
    network = PaperNetwork(PaperSettings())
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    k = network.settings.radial_hidden
    gated = 32 + 32 + 32  # scalars, gates, vectors
    expected = {"embedding": (118, 64)}
    # 64 scalars in: one path to scalars (l = 0) and one to vectors (l = 1)
    expected["convolutions.0.weights.0e"] = (64 * k, gated - 32)
    expected["convolutions.0.weights.1o"] = (64 * k, 32)
    # 32 scalars and 32 vectors in: 0x0 and 1x1 to scalars, 0x1 and 1x0 to vectors
    expected["convolutions.1.weights.0e"] = (2 * 32 * k, gated - 32)
    expected["convolutions.1.weights.1o"] = (2 * 32 * k, 32)
    expected["convolutions.2.weights.0e"] = (2 * 32 * k, 51)
    for i in range(3):
        expected[f"radial.{i}.hidden.weight"] = (k, 10)
        expected[f"radial.{i}.hidden.bias"] = (k,)
    assert shapes == expected
    assert network.cutoff == 5.0
    assert network.self_edges


def test_paper_spectra_have_maximum_one(batch_of: BatchOf, low_symmetry: Atoms) -> None:
    spectrum = PaperNetwork(PaperSettings())(batch_of(low_symmetry, bulk("Cu")))
    assert spectrum.shape == (2, 51)
    assert (spectrum >= 0).all()
    assert spectrum.amax(dim=1).tolist() == pytest.approx([1.0, 1.0])


def test_every_site_of_the_site_network_has_weight_one(
    batch_of: BatchOf, low_symmetry: Atoms
) -> None:
    network = SiteNetwork(SiteSettings(n_bins=30))
    weights = network(batch_of(low_symmetry, self_edges=False)).log_weights[0].exp()
    torch.testing.assert_close(weights.sum(1), torch.ones(len(low_symmetry)))


SEVERAL = SiteSettings(
    n_bins=20, scalars=16, vectors=8, hidden=16, heads=3, displacements=6, sound=1, stability=1
)


def test_displacement_tensors_turn_with_the_crystal(batch_of: BatchOf, low_symmetry: Atoms) -> None:
    torch.manual_seed(5)
    network = SiteNetwork(SEVERAL)
    turn = Rotation.random(random_state=2).as_matrix()
    turned = low_symmetry.copy()
    turned.set_cell(low_symmetry.cell[:] @ turn.T, scale_atoms=True)
    one, other = (network(batch_of(atoms, self_edges=False)) for atoms in (low_symmetry, turned))
    assert one.log_displacements is not None
    assert other.log_displacements is not None
    assert (
        float(one.log_displacements.detach()[..., 1:].abs().max()) > 1e-3
    )  # there is a shape to turn
    u, v = (tensors_from_logs(o.log_displacements.detach().numpy()) for o in (one, other))
    np.testing.assert_allclose(v, turn @ u @ turn.T, rtol=1e-4, atol=1e-5 * float(u.max()))
    assert one.log_sound is not None
    torch.testing.assert_close(one.log_sound, other.log_sound, atol=1e-5, rtol=0)
    assert one.log_odds_unstable is not None
    torch.testing.assert_close(one.log_odds_unstable, other.log_odds_unstable, atol=1e-5, rtol=0)


def test_sites_of_cubic_symmetry_move_alike_in_all_directions(batch_of: BatchOf) -> None:
    torch.manual_seed(5)
    network = SiteNetwork(SEVERAL)
    crystals = (bulk("NaCl", "rocksalt", 5.6), bulk("Si"))
    tensors = network(batch_of(*crystals, self_edges=False)).log_displacements
    assert tensors is not None
    assert float(tensors.detach()[..., 1:].abs().max()) < 1e-5


def test_heads_are_the_members_of_one_network(batch_of: BatchOf, low_symmetry: Atoms) -> None:
    torch.manual_seed(5)
    network = SiteNetwork(SEVERAL)
    header = WeightsHeader(
        network="site",
        settings={},
        members=1,
        grid=GridHeader(5.0, 10.0, 20),
        encoder="mass_one_hot",
        encoder_version=1,
    )
    model = Model(header, [network], torch.device("cpu"))
    batch = batch_of(bulk("Cu"), low_symmetry, self_edges=False)
    found = model.densities(batch, ["Cu", "other"])
    alone = model.densities(batch, ["Cu", "other"], uncertainty=False)
    assert found.members is not None
    assert found.members.shape == (3, 2, 20)
    assert float(np.ptp(found.members, axis=0).max()) > 1e-4
    # Without error bars nothing but the error bars is missing.
    assert alone.members is None
    np.testing.assert_array_equal(alone.crystals, found.crystals)
    np.testing.assert_array_equal(alone.log_displacements, found.log_displacements)


def paper_header() -> WeightsHeader:
    return WeightsHeader(
        network="paper",
        settings=PaperNetwork(PaperSettings()).config(),
        members=1,
        grid=GridHeader(0.0, 20.0, 51),
        encoder="mass_one_hot",
        encoder_version=1,
    )


def test_zero_spectrum_is_an_error_that_names_the_crystal(batch_of: BatchOf) -> None:
    network = PaperNetwork(PaperSettings())
    with torch.no_grad():
        network.convolutions[-1].weights["0e"].zero_()
    model = Model(paper_header(), [network], torch.device("cpu"))
    batch = batch_of(bulk("Cu"), bulk("Si"))
    with pytest.raises(PredictionError, match=r"Si\.cif.*zero at every frequency"):
        model.densities(batch, ["Cu.cif", "Si.cif"])


def test_a_point_that_is_zero_for_all_crystals_can_come_back(batch_of: BatchOf) -> None:
    """Only with `output_gradient`, in training alone, and without another prediction."""
    batch = batch_of(bulk("Cu"), bulk("Si"))
    passing = PaperNetwork(PaperSettings(output_gradient=1))
    plain = PaperNetwork(PaperSettings())
    plain.load_state_dict(passing.state_dict())
    spectra = plain(batch)
    silent = int((spectra.amax(dim=0) == 0).nonzero()[0])
    for network in (passing, plain):
        assert torch.equal(network(batch), spectra)
        assert torch.equal(network.eval()(batch), spectra)
        (-network.train()(batch)[:, silent].sum()).backward()
    gradients = [n.convolutions[-1].weights["0e"].grad for n in (plain, passing)]
    assert float(gradients[0].abs().max()) == 0
    with torch.no_grad():
        passing.convolutions[-1].weights["0e"] -= gradients[1] / gradients[1].norm()
    assert float(passing(batch)[:, silent].detach().max()) > 0


def test_unknown_source_and_device_are_refused() -> None:
    network = PaperNetwork(PaperSettings())
    with pytest.raises(WeightsError, match="speak for dfpt, not for 'neutrons'"):
        Model(paper_header(), [network], torch.device("cpu"), source="neutrons")
    with pytest.raises(DeviceError, match="'cdua'"):
        resolve_device("cdua")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="sees 0 CUDA devices"):
            resolve_device("cuda")


@pytest.mark.gpu
def test_cpu_and_gpu_agree(batch_of: BatchOf, low_symmetry: Atoms) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    network = SiteNetwork(SiteSettings(n_bins=40))
    batch = batch_of(low_symmetry, bulk("Cu"), self_edges=False)
    on_cpu = network(batch).log_weights[0].exp()
    on_gpu = network.to("cuda")(batch.to("cuda")).log_weights[0].exp().cpu()
    torch.testing.assert_close(on_gpu, on_cpu, atol=1e-4, rtol=1e-3)


def test_density_of_a_crystal_is_the_mean_of_its_sites(
    batch_of: BatchOf, low_symmetry: Atoms
) -> None:
    settings = SiteSettings(n_bins=40)
    header = WeightsHeader(
        network="site",
        settings={},
        members=2,
        grid=GridHeader(5.0, 10.0, 40),
        encoder="mass_one_hot",
        encoder_version=1,
    )
    model = Model(header, [SiteNetwork(settings), SiteNetwork(settings)], torch.device("cpu"))
    batch = batch_of(bulk("Cu"), low_symmetry, self_edges=False)
    densities = model.densities(batch, ["Cu", "other"])
    assert densities.members is not None
    assert densities.sites is not None
    np.testing.assert_allclose(densities.members.mean(0), densities.crystals, atol=1e-7)
    np.testing.assert_allclose(densities.sites[1:].mean(0), densities.crystals[1], atol=1e-6)
    # Site order is the order given: the symbols of the crystal, not the order of the blocks.
    single = model.densities(batch_of(low_symmetry, self_edges=False), ["other"])
    np.testing.assert_allclose(single.sites, densities.sites[1:], atol=1e-6)
    assert Crystal.from_any(low_symmetry).n_sites == len(densities.sites) - 1


@pytest.mark.parametrize("order", [1, -1])
def test_members_of_different_sizes_do_not_disturb_each_other(
    batch_of: BatchOf, low_symmetry: Atoms, order: int
) -> None:
    """Members share their edge functions; what one lacks, another may need."""
    sizes: list[dict[str, int]] = [
        {"vectors": 0},
        {"n_layers": 1},
        {"message_vectors": 0},
        {},
        {"tensors": 6, "message_tensors": 4},
        {"tensors": 6, "vectors": 0},
        {"n_radial": 6},
    ]
    networks = [
        SiteNetwork(SiteSettings(n_bins=20, scalars=16, hidden=16, **s)) for s in sizes[::order]
    ]
    header = WeightsHeader(
        network="site",
        settings={},
        members=len(networks),
        grid=GridHeader(5.0, 10.0, 20),
        encoder="mass_one_hot",
        encoder_version=1,
    )
    batch = batch_of(low_symmetry, self_edges=False)
    found = Model(header, list(networks), torch.device("cpu")).densities(batch, ["mixed"])
    assert found.members is not None
    for network, density in zip(networks, found.members, strict=True):
        alone = network(batch).log_weights[0].exp().mean(0)
        np.testing.assert_allclose(density[0], alone.numpy(), atol=1e-6)


@pytest.mark.parametrize("read_blocks", [0, 2])
def test_sites_that_are_alike_are_read_out_once_and_no_others(
    batch_of: BatchOf, rocksalt: Atoms, low_symmetry: Atoms, read_blocks: int
) -> None:
    """Against the plain path; crystals in the batch do not lend each other their sites."""
    settings = SiteSettings(
        n_bins=40,
        scalars=24,
        vectors=8,
        hidden=32,
        heads=2,
        displacements=4,
        sound=1,
        stability=1,
        read_blocks=read_blocks,
    )
    network = SiteNetwork(settings, torch.full((settings.n_features,), 60.0)).eval()
    network = with_trained_blocks(network)
    turned = low_symmetry.copy()
    turned.rotate(40, (1, 2, 3), rotate_cell=True)
    batch = batch_of(
        rocksalt.repeat(3), low_symmetry, low_symmetry.repeat(2), turned, rocksalt, self_edges=False
    )
    plain = network(batch)  # with gradients, every site by itself
    with torch.inference_mode():
        site, _, _ = network._described(batch, 0, None)
        groups = groups_of_alike(site, batch)
        found = network.spectra(batch)
        broken = site.clone()
        broken[3] = torch.nan
        assert groups_of_alike(broken, batch) is None
    assert groups is not None
    assert groups.first.diff().tolist() == [2, *[len(low_symmetry)] * 3]
    assert len(groups.chosen) == 4 + 3 * len(low_symmetry)
    crystals = batch.crystal_index
    assert (crystals[groups.chosen][groups.group] == crystals).all()
    weights = plain.log_weights.detach().exp()
    expected = torch.zeros(2, batch.n_crystals, 40).index_add(1, crystals, weights)
    assert_same(expected / batch.n_sites.unsqueeze(1), found.crystals)
    assert_same(weights.mean(0)[batch.site_order], found.sites)
    for side in ("log_displacements", "log_sound", "log_odds_unstable"):
        assert_same(getattr(plain, side).detach(), getattr(found, side))


def test_a_first_prediction_imports_no_compiler() -> None:
    """Of torch, only what `import torch` loads: the rest takes longer than to predict."""
    code = (
        "import sys, torch; before = set(sys.modules)\n"
        "from ase.build import bulk; from ase_e3dos import predict\n"
        "predict([bulk('Cu')]); predict([bulk('Cu')], model='paper')\n"
        "slow = {'torch._dynamo', 'sympy', 'pandas', 'matplotlib', 'e3nn', 'pymatgen'}\n"
        "print(sorted(slow & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
