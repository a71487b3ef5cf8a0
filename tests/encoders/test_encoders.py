"""The two encoders of the paper, the choice between them, and the conformance kit."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from ase_e3dos.encoders import AlloyMultiHot, Encoder, MassOneHot, encode_batch
from ase_e3dos.errors import DisorderError, EncoderError
from ase_e3dos.plugins import EncoderSpec, PluginRegistry, encoder_for, hookimpl
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.masses import STANDARD_MASSES
from ase_e3dos.testing import check_encoder, sample_crystals


def site(numbers, fractions=None, masses=None):
    cell, sites = 4.0 * np.eye(3), [0] * len(numbers)
    return Crystal(cell, [[0, 0, 0]], sites, numbers, fractions, masses)


@pytest.mark.parametrize("encoder", [MassOneHot(), AlloyMultiHot()])
def test_encoders_keep_the_contract(encoder):
    assert isinstance(encoder, Encoder)
    assert "mixed sites" in check_encoder(encoder, elements=range(1, 119))


@given(st.integers(1, 118), st.integers(1, 118), st.integers(1, 999))
def test_equation_one(a, b, permille):
    p = permille / 1000
    expected = np.zeros(118)
    expected[a - 1] += p * STANDARD_MASSES[a]
    expected[b - 1] += (1 - p) * STANDARD_MASSES[b]
    features = AlloyMultiHot().encode(site([a, b], [p, 1 - p]))
    np.testing.assert_allclose(features, [expected], rtol=1e-6)


def test_alloy_encoder_equals_one_hot_for_pure_sites():
    for crystal in sample_crystals():
        np.testing.assert_array_equal(AlloyMultiHot().encode(crystal), MassOneHot().encode(crystal))


def test_isotopes_keep_the_features_of_the_element():
    heavy, light = site([1], None, [2.014]), site([1])
    np.testing.assert_array_equal(MassOneHot().encode(heavy), MassOneHot().encode(light))
    both = site([1, 1], [0.5, 0.5], [1.008, 2.014])
    np.testing.assert_array_equal(AlloyMultiHot().encode(both), AlloyMultiHot().encode(light))


@pytest.mark.filterwarnings("ignore::ase_e3dos.errors.PartialOccupationWarning")
@pytest.mark.parametrize(("numbers", "fractions"), [([14, 32], [0.5, 0.5]), ([14], [0.9])])
def test_one_hot_refuses_mixed_and_partial_sites_and_names_the_way_out(numbers, fractions):
    crystal = site(numbers, fractions)
    with pytest.raises(DisorderError, match="alloy_multi_hot") as caught:
        MassOneHot().encode(crystal)
    assert crystal.name in str(caught.value)


def test_choice_of_encoder():
    registry = PluginRegistry(plugins=[])
    pure, mixed = site([14]), site([14, 32], [0.5, 0.5])
    assert encoder_for(pure, "mass_one_hot", registry).name == "mass_one_hot"
    assert encoder_for(mixed, "mass_one_hot", registry).name == "alloy_multi_hot"
    assert encoder_for(pure, "alloy_multi_hot", registry).name == "alloy_multi_hot"
    with pytest.raises(EncoderError, match="mass_one_hot"):
        encoder_for(pure, "mass_one_hott", registry)


def test_mixed_sites_go_to_an_encoder_that_serves_the_models():
    class Half(MassOneHot):
        name = "half"

    class HalfMixed(AlloyMultiHot):
        name = "half_mixed"

    class Plugin:
        @hookimpl
        def ase_e3dos_encoders(self):
            yield EncoderSpec(name="half", factory=Half)

    class Further:
        @hookimpl
        def ase_e3dos_encoders(self):
            yield EncoderSpec(
                name="half_mixed", factory=HalfMixed, accepts_mixed=True, serves=("half",)
            )

    registry, mixed = PluginRegistry(plugins=[]), site([14, 32], [0.5, 0.5])
    registry.register(Plugin())
    with pytest.raises(DisorderError, match="no installed encoder serves"):
        encoder_for(mixed, "half", registry)
    registry.register(Further())
    assert encoder_for(mixed, "half", registry).name == "half_mixed"
    assert encoder_for(site([14]), "half", registry).name == "half"


def test_batch_of_none_and_of_wrong_shapes():
    assert encode_batch(AlloyMultiHot(), []).shape == (0, 118)

    class Short(AlloyMultiHot):
        n_features = 119

    with pytest.raises(EncoderError, match="shape"):
        encode_batch(Short(), [site([3])])


class Lithium(AlloyMultiHot):
    """Knows lithium alone, as an encoder with a small table does."""

    name = "lithium"

    def encode_batch(self, crystals):
        for crystal in crystals:
            {3: 0}[int(crystal.numbers[0])]
        return super().encode_batch(crystals)

    def encode(self, crystal):
        return self.encode_batch([crystal])


def test_an_encoder_that_fails_is_named_with_its_distribution_and_the_crystal():
    class Single(Lithium):
        encode_batch = None

        def encode(self, crystal):
            return Lithium().encode(crystal)

    class Leaving(Lithium):
        def encode_batch(self, crystals):
            raise SystemExit(3)

    with pytest.raises(EncoderError, match=r"'lithium' of .* fails for .*SystemExit: 3"):
        encode_batch(Leaving(), [site([3])])

    class Infinite(AlloyMultiHot):
        def encode_batch(self, crystals):
            return np.repeat([[1.0], [np.inf], [1.0]], 118, axis=1)

    class Text(AlloyMultiHot):
        def encode_batch(self, crystals):
            return "features"

    crystals = [site([3]), site([83]), site([3])]
    for encoder in (Lithium(), Single()):
        match = r"'lithium' of .*test_encoders fails for Bi \(KeyError: 83\)"
        with pytest.raises(EncoderError, match=match) as caught:
            encode_batch(encoder, crystals)
        assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(EncoderError, match=r"of .* gave features that are not finite for Bi\."):
        encode_batch(Infinite(), crystals)
    with pytest.raises(EncoderError, match=r"gave shape \(\) instead|fails for"):
        encode_batch(Text(), crystals)
    with pytest.raises(DisorderError):  # tells the user what to do: passed on as it is
        encode_batch(MassOneHot(), [site([14, 32], [0.5, 0.5])])


def handedness(crystal):
    """Changes its sign under inversion; the same for every orientation and origin."""
    apart = crystal.scaled_positions[:, None] - crystal.scaled_positions
    return np.sin(2 * np.pi * apart @ [1, 2, 3]) @ crystal.numbers


class Faulty:
    """An encoder with a fault that the kit must find."""

    name, version, n_features, accepts_mixed = "faulty", 1, 118, False

    def __init__(self, fault):
        self.fault = fault
        self.calls = 0
        if fault == "batch":
            self.encode_batch = self.half

    def half(self, crystals):
        return np.concatenate([self.encode(crystal) for crystal in crystals]) / 2

    def __reduce__(self):
        return Faulty, ("elements" if self.fault == "pickling" else self.fault,)

    def settings(self):
        return {"fault": {1}} if self.fault == "settings" else {"fault": self.fault}

    def encode(self, crystal):
        if self.fault != "mixed sites" and not crystal.is_ordered:
            raise DisorderError("mixed")
        x = AlloyMultiHot().encode(crystal)
        if self.fault == "array":
            return x.astype(float)
        if self.fault == "elements":
            return np.zeros_like(x)
        if self.fault == "isotopes":
            x[range(len(x)), crystal.numbers - 1] = crystal.masses
        if self.fault == "determinism":
            self.calls += 1
            x[:, 117] = self.calls
        if self.fault == "device":
            return x[:, ::-1]
        for fault, extra in (
            ("rotation", crystal.cell[0, 0]),
            ("translation", crystal.scaled_positions[:, 0]),
            ("inversion", handedness(crystal)),
            ("permutation", np.arange(crystal.n_sites)),
            ("supercell", crystal.volume),
        ):
            if self.fault == fault:
                x[:, 117] = extra
        return x


FAULTS = (
    *("array", "elements", "isotopes", "rotation", "translation", "permutation", "supercell"),
    *("settings", "mixed sites", "inversion", "determinism", "batch", "pickling", "device"),
)


def faults_found(encoder) -> set[str]:
    with pytest.raises(EncoderError) as caught:
        check_encoder(encoder)
    return {line.strip().partition(":")[0] for line in str(caught.value).splitlines()[1:]}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_kit_finds_faults(fault):
    assert fault in faults_found(Faulty(fault))


def test_the_kit_finds_one_fault_at_a_time():
    """A check does not fail for the reason of another one."""
    for fault in ("isotopes", "supercell", "settings", "mixed sites", "batch", "pickling"):
        assert faults_found(Faulty(fault)) == {fault}


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("name", ""), ("version", 0), ("version", True), ("n_features", 118.0), ("accepts_mixed", 1)],
)
def test_the_kit_checks_attributes(attribute, value):
    encoder = Faulty("attributes")
    setattr(encoder, attribute, value)
    assert "attributes" in faults_found(encoder)


class MixedFaulty(AlloyMultiHot):
    """Faults that show on crystals with a mixed site alone."""

    def __init__(self, fault):
        self.fault = fault

    def encode_batch(self, crystals):
        x = super().encode_batch(crystals)
        return 2 * x if self.fault == "batch" and any(not c.is_ordered for c in crystals) else x

    def encode(self, crystal):
        x = super().encode_batch([crystal])
        if crystal.is_ordered:
            return x
        extra = {
            "rotation": crystal.cell[0, 0],
            "translation": crystal.scaled_positions[:, 0],
            "permutation": np.arange(crystal.n_sites),
            "supercell": crystal.volume,
            "isotopes": crystal.masses,
        }
        x[:, 117] = extra.get(self.fault, 0.0)
        if self.fault == "mixed sites":  # the species listed first, instead of all
            first = np.unique(crystal.species_site, return_index=True)[1]
            x[:] = np.eye(118)[crystal.species_number[first] - 1]
        return x


@pytest.mark.parametrize(
    "fault",
    ["rotation", "translation", "permutation", "supercell", "isotopes", "batch", "mixed sites"],
)
def test_the_kit_looks_at_mixed_crystals_too(fault):
    class Configured(MixedFaulty):
        def __init__(self):
            super().__init__(fault)

    assert fault in faults_found(Configured())


def test_the_kit_compares_spec_and_encoder():
    assert "spec" in check_encoder(EncoderSpec(name="mass_one_hot", factory=MassOneHot))
    with pytest.raises(EncoderError, match="accepts_mixed = True"):
        check_encoder(EncoderSpec(name="mass_one_hot", factory=MassOneHot, accepts_mixed=True))

    class Light(AlloyMultiHot):
        def encode_batch(self, crystals):
            return super().encode_batch(crystals) / 2

        def encode(self, crystal):
            return self.encode_batch([crystal])

    serves = {"name": "alloy_multi_hot", "accepts_mixed": True, "serves": ("mass_one_hot",)}
    assert "serves" in check_encoder(EncoderSpec(factory=AlloyMultiHot, **serves))
    with pytest.raises(EncoderError, match="serves: it is to serve models trained with 'mass"):
        check_encoder(EncoderSpec(factory=Light, **serves))
    with pytest.raises(EncoderError, match="is not an encoder"):
        check_encoder(object())


def test_encoding_follows_the_order_of_sites_of_the_source():
    atoms = bulk("NaCl", "rocksalt", a=5.6)[[1, 0]]
    features = MassOneHot().encode(Crystal.from_any(atoms))
    assert features.argmax(axis=1).tolist() == [16, 10]
