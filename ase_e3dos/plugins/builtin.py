"""What the package itself offers through the hooks, like any other plug-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ase_e3dos.encoders import AlloyMultiHot, MassOneHot
from ase_e3dos.plugins.hookspecs import hookimpl
from ase_e3dos.plugins.potentials import POTENTIALS
from ase_e3dos.plugins.specs import CalculatorSpec, CommandSpec, EncoderSpec, ModelSpec

__all__ = [
    "COMMANDS",
    "WEIGHTS_FOLDER",
    "ase_e3dos_calculators",
    "ase_e3dos_commands",
    "ase_e3dos_encoders",
    "ase_e3dos_models",
]

WEIGHTS_FOLDER = Path(__file__).parents[1] / "models"

_PAPER = "Z. Chen et al., Adv. Sci. 8, 2004214 (2021), doi:10.1002/advs.202004214"
_DFPT = "G. Petretto et al., Sci. Data 5, 180065 (2018), doi:10.1038/sdata.2018.65"
_JARVIS = "K. Choudhary et al., npj Comput. Mater. 6, 173 (2020), doi:10.1038/s41524-020-00440-1"
_PHONONDB = "A. Togo, phonon database at Kyoto University, version 2018-04-17"
_NEQUIX = "T. Koker et al., arXiv:2508.16067 and arXiv:2601.07742"
_AGNE = "M. T. Agne et al., Mater. Today Phys. 6, 83 (2018)"

# name, stem of the weights file, source, description, further citation
_MODELS = (
    ("default", "default", "dfpt", "site spectra, -400 to 4400 cm^-1, DFT with PBEsol", _PHONONDB),
    (
        "force-constants",
        "force-constants",
        "dfpt",
        "force constants: bands, eigenvectors and spectra, DFT with PBEsol",
        f"{_PHONONDB}; {_NEQUIX}",
    ),
    (
        "combined",
        "combined",
        "dfpt",
        "force constants and site spectra, the smallest errors, DFT with PBEsol",
        f"{_PHONONDB}; {_NEQUIX}",
    ),
    ("jarvis", "jarvis", "jarvis", "an ensemble that speaks for JARVIS (OptB88vdW)", _JARVIS),
    ("paper", "paper", None, "the paper's network, 51 points from 0 to 1000 cm^-1", ""),
    ("imaginary", "imaginary", None, "the paper's with imaginary modes, -200 to 1000 cm^-1", ""),
    ("alloy", "alloy", None, "the paper's network for alloys, trained with Mg3Bi2", _AGNE),
)

# name, module in ase_e3dos.cli, function, description
_COMMANDS = (
    ("predict", "predict", "predict", "Spectra and thermal properties of crystals."),
    ("compare", "compare", "compare_command", "A prediction beside a measured spectrum."),
    ("adp", "adp", "adp_command", "Displacement parameters U_iso and B_iso of the sites."),
    ("isotopes", "isotopes", "isotopes_command", "What other masses of some elements change."),
    ("describe", "describe", "describe_command", "Descriptors of spectra: edges, gaps, moments."),
    ("phases", "phases", "phases_command", "Free energies of polymorphs, and where they cross."),
    ("alloy", "alloy", "alloy", "An alloy over its composition."),
    ("screen", "screen", "screen_command", "Any number of structures into a Parquet data set."),
    ("refine", "refine", "refine_command", "Rows of a screen that matter, with a potential."),
    ("report", "report", "report_command", "A screening as one page to read offline."),
    ("train", "train", "train_command", "Train or fine-tune a model."),
    ("curves", "train", "curves_command", "Learning curves of trainings in one figure."),
    ("evaluate", "evaluate", "evaluate_command", "Error measures of models on labelled crystals."),
    ("label", "label", "label_command", "Spectra by finite displacements with an ASE calculator."),
    ("data", "data", "data", "Import phonon data, and look at files of it."),
    ("models", "registry", "models", "The models that are installed."),
    ("plugins", "registry", "plugins", "The plug-ins that are installed, and what they offer."),
)

#: Commands of the package by name; the command line finds them without loading a plug-in.
COMMANDS = {
    name: CommandSpec(
        name=name, command=f"ase_e3dos.cli.{module}:{function}", description=description
    )
    for name, module, function, description in _COMMANDS
}


@hookimpl
def ase_e3dos_commands() -> Iterator[CommandSpec]:
    """The commands of the package."""
    yield from COMMANDS.values()


@hookimpl
def ase_e3dos_encoders() -> Iterator[EncoderSpec]:
    """The two encoders of the paper."""
    yield EncoderSpec(
        name=MassOneHot.name,
        factory=MassOneHot,
        version=MassOneHot.version,
        accepts_mixed=MassOneHot.accepts_mixed,
        description="x[Z-1] = m: one element for each site",
    )
    yield EncoderSpec(
        name=AlloyMultiHot.name,
        factory=AlloyMultiHot,
        version=AlloyMultiHot.version,
        accepts_mixed=AlloyMultiHot.accepts_mixed,
        serves=(MassOneHot.name,),
        description="x[Z-1] = p m: mixed sites (eq. 1 of the paper)",
    )


@hookimpl
def ase_e3dos_models() -> Iterator[ModelSpec]:
    """The shipped models whose weights are there."""
    for name, stem, source, description, further in _MODELS:
        weights = WEIGHTS_FOLDER / f"{stem}.safetensors"
        if weights.is_file():
            yield ModelSpec(
                name=name,
                weights=weights,
                description=description,
                encoder=MassOneHot.name,
                source=source,
                licence="CC-BY-4.0",
                citation="; ".join(filter(None, (_PAPER, _DFPT, further))),
            )


@hookimpl
def ase_e3dos_calculators() -> Iterator[CalculatorSpec]:
    """Calculators of ASE, and potentials that other packages bring if they are installed."""
    yield from POTENTIALS
