"""Calculators of forces by name: those of ASE, and potentials of packages that may be installed.

Every factory imports its package when it is called, so that what is absent, or broken, is in
nobody's way. Weights are given as files; no factory lets its package download any.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_e3dos.plugins.specs import CalculatorSpec

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

__all__ = ["POTENTIALS"]

_HERE = "ase_e3dos.plugins.potentials"
_BOTH = ("cpu", "cuda")


def emt(device: str, weights: Path | None) -> Calculator:
    """ASE's effective-medium theory."""
    from ase.calculators.emt import EMT

    return EMT()


def lj(device: str, weights: Path | None) -> Calculator:
    """ASE's Lennard-Jones potential, in units of its parameters (1 eV, 1 Å)."""
    from ase.calculators.lj import LennardJones

    return LennardJones()


def mace(device: str, weights: Path | None) -> Calculator:
    """MACE from a file, in double precision, which displacements of 0.01 Å need."""
    from mace.calculators import MACECalculator

    return _made(MACECalculator(model_paths=str(weights), device=device, default_dtype="float64"))


def chgnet(device: str, weights: Path | None) -> Calculator:
    """CHGNet with the weights of its package, or from a file."""
    from chgnet.model import CHGNet
    from chgnet.model.dynamics import CHGNetCalculator

    model = CHGNet.from_file(str(weights)) if weights else CHGNet.load(verbose=False)
    return _made(CHGNetCalculator(model, use_device=device))


def sevennet(device: str, weights: Path | None) -> Calculator:
    """SevenNet-l3i5 of its package, or from a file."""
    from sevenn.calculator import SevenNetCalculator

    return _made(SevenNetCalculator(str(weights or "7net-l3i5"), device=device))


def nequix(device: str, weights: Path | None) -> Calculator:
    """Nequix by JAX, which takes the device that it finds; kernels where they are installed."""
    import os
    from importlib.util import find_spec

    if device == "cpu":
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from nequix.calculator import NequixCalculator

    kernels = device != "cpu" and find_spec("openequivariance") is not None
    return _made(NequixCalculator(model_path=str(weights), backend="jax", use_kernel=kernels))


def orb(device: str, weights: Path | None) -> Calculator:
    """Orb-v3 (conservative, all neighbours), in double precision and not compiled."""
    from orb_models.forcefield import pretrained

    made = pretrained.orb_v3_conservative_inf_omat(
        weights_path=str(weights), device=device, precision="float64", compile=False
    )
    if isinstance(made, tuple):  # newer versions give what makes their graphs, too
        from orb_models.forcefield.inference.calculator import ORBCalculator as Calculator
    else:
        from orb_models.forcefield.calculator import ORBCalculator as Calculator

        made = (made,)
    return _made(Calculator(*made, device=device))


def mattersim(device: str, weights: Path | None) -> Calculator:
    """MatterSim from a file."""
    from mattersim.forcefield import MatterSimCalculator

    return _made(MatterSimCalculator(load_path=str(weights), device=device))


def matgl(device: str, weights: Path | None) -> Calculator:
    """A potential of MatGL from its folder, with stresses in ASE's unit (its own are in GPa)."""
    import matgl as library
    from matgl.ext.ase import PESCalculator

    return _made(PESCalculator(library.load_model(str(weights)), stress_unit="eV/A3"))


def _made(calculator: Any) -> Calculator:
    """Packages that may be absent have no types."""
    found: Calculator = calculator
    return found


POTENTIALS = (
    CalculatorSpec(
        name="emt",
        factory=f"{_HERE}:emt",
        trained_on="fitted to fcc metals: Al, Ni, Cu, Pd, Ag, Pt, Au",
        licence="LGPL-2.1-or-later",
        description="effective-medium theory, of ASE",
    ),
    CalculatorSpec(
        name="lj",
        factory=f"{_HERE}:lj",
        trained_on="nothing: 1 eV and 1 Å for all pairs, for tests",
        licence="LGPL-2.1-or-later",
        description="Lennard-Jones, of ASE",
    ),
    CalculatorSpec(
        name="mace",
        factory=f"{_HERE}:mace",
        requires=("mace",),
        install="pip install mace-torch",
        trained_on="MPtrj and sAlex (PBE) for mace-mpa-0-medium",
        licence="MIT",
        devices=_BOTH,
        weights="mace-mpa-0-medium.model",
        weights_url="https://github.com/ACEsuit/mace-mp/releases/download/mace_mpa_0/"
        "mace-mpa-0-medium.model",
        description="MACE foundation models",
    ),
    CalculatorSpec(
        name="chgnet",
        factory=f"{_HERE}:chgnet",
        requires=("chgnet",),
        install="pip install chgnet",
        trained_on="MPtrj (PBE)",
        licence="BSD-3-Clause",
        devices=_BOTH,
        description="CHGNet; its package holds the weights",
    ),
    CalculatorSpec(
        name="sevennet",
        factory=f"{_HERE}:sevennet",
        requires=("sevenn",),
        install="pip install sevenn",
        trained_on="MPtrj (PBE) for 7net-l3i5",
        licence="MIT (older versions GPL-3.0)",
        devices=_BOTH,
        description="SevenNet-l3i5; its package holds the weights",
    ),
    CalculatorSpec(
        name="nequix",
        factory=f"{_HERE}:nequix",
        requires=("nequix", "jax"),
        install="pip install nequix (on a CPU: pip install --no-deps nequix, then jax equinox "
        "e3nn-jax jraph matscipy optax)",
        trained_on="OMat24, sAlex and MPtrj, then PBE force constants (OAM-1-PFT)",
        licence="MIT; weights CC-BY-4.0",
        devices=_BOTH,
        weights="nequix-oam-1-pft.nqx",
        weights_url="https://github.com/atomicarchitects/nequix (folder models)",
        weights_folders=("~/.cache/nequix/models",),
        description="Nequix-OAM-1-PFT, fine-tuned on phonons",
    ),
    CalculatorSpec(
        name="orb",
        factory=f"{_HERE}:orb",
        requires=("orb_models",),
        install="pip install orb-models",
        trained_on="OMat24 (PBE)",
        licence="Apache-2.0",
        devices=_BOTH,
        weights="orb-v3-conservative-inf-omat-20250404.ckpt",
        weights_url="https://orbitalmaterials-public-models.s3.us-west-1.amazonaws.com/"
        "forcefields/orb-v3/orb-v3-conservative-inf-omat-20250404.ckpt",
        description="Orb-v3, conservative",
    ),
    CalculatorSpec(
        name="mattersim",
        factory=f"{_HERE}:mattersim",
        requires=("mattersim",),
        install="pip install mattersim",
        trained_on="its authors' own data (PBE)",
        licence="MIT",
        devices=_BOTH,
        weights="mattersim-v1.0.0-5M.pth",
        weights_url="https://raw.githubusercontent.com/microsoft/mattersim/main/pretrained_models/"
        "mattersim-v1.0.0-5M.pth",
        weights_folders=("~/.local/mattersim/pretrained_models",),
        description="MatterSim v1, 5 M parameters",
    ),
    CalculatorSpec(
        name="matgl",
        factory=f"{_HERE}:matgl",
        requires=("matgl",),
        install="pip install matgl",
        trained_on="MatPES (PBE, or r2SCAN with other weights)",
        licence="BSD-3-Clause",
        weights="TensorNet-MatPES-PBE-v2025.1-PES",
        weights_url="https://huggingface.co/materialyze/TensorNet-MatPES-PBE-v2025.1-PES",
        weights_folders=("~/.cache/matgl",),
        description="TensorNet of MatGL",
    ),
)
