"""A trained model as a plug-in package of its own: to install, to share, to publish."""

from __future__ import annotations

import filecmp
import json
import keyword
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ase.data import chemical_symbols

from ase_e3dos.errors import TrainingError
from ase_e3dos.evaluation.metrics import format_errors
from ase_e3dos.evaluation.predictions import Evaluation
from ase_e3dos.network.weights import WeightsHeader, read_header
from ase_e3dos.plugins.specs import API_VERSION
from ase_e3dos.version import __version__

_WEIGHTS = "weights.safetensors"
_PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.25"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "0.1.0"
description = "Model {name} for ase-e3dos"
readme = "README.md"
requires-python = ">=3.11"
dependencies = {dependencies}

[project.entry-points.ase_e3dos]
{identifier} = "{package}"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]
"""

_MODULE = '''\
"""Model {name} for ase-e3dos: E3DOSPredictor(model={name!r}) finds it once this is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ase_e3dos.plugins import ModelSpec, hookimpl


@hookimpl
def ase_e3dos_models() -> Iterator[ModelSpec]:
    """The model."""
    yield ModelSpec(
        name={name!r},
        weights=Path(__file__).with_name("weights.safetensors"),
        description={description!r},
        encoder={encoder!r},
        source={source!r},
        licence={licence!r},
        citation={citation!r},
        api_version={api_version},
    )
'''


@dataclass(frozen=True)
class PluginNames:
    """What a plug-in package for a model is called.

    Attributes
    ----------
    identifier, package, distribution : str
        Of its entry point, its import, and for pip.
    folder : Path
        Where it is written.
    """

    identifier: str
    package: str
    distribution: str
    folder: Path


def plugin_names(name: str, directory: str | Path, weights: str | Path) -> PluginNames:
    """Names of the package for a model; tells before a training whether they can be had.

    Parameters
    ----------
    name : str
        Of the model.
    directory : str or Path
        Folder in which the package's folder is made.
    weights : str or Path
        Weights file, there or not yet. A package of the same weights is in nobody's way.

    Raises
    ------
    TrainingError
        The name is not usable, another installed model has it, or the package's folder is there
        and holds other weights.
    """
    from ase_e3dos.plugins import get_registry

    if not re.fullmatch(r"[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?", name) or keyword.iskeyword(name):
        raise TrainingError(
            f"{name!r} cannot be the name of a model: use letters, digits, - and _, begin with a "
            "letter and end with a letter or digit."
        )
    identifier = _identifier(name)
    for known, spec in get_registry().models().items():
        if _identifier(known) == identifier and not (
            known == name and _same_content(spec.weights_path(), weights)
        ):
            raise TrainingError(
                f"a model {known!r} is installed already, so a plug-in of the name {name!r} would "
                "be refused. Choose another name, or uninstall the package that offers it "
                "(`e3dos plugins`)."
            )
    distribution = f"e3dos-model-{identifier.replace('_', '-')}"
    package = f"e3dos_model_{identifier}"
    folder = Path(directory) / distribution
    if folder.exists() and not _same_content(folder / package / _WEIGHTS, weights):
        raise TrainingError(
            f"{folder} is there already, with other weights. Choose another name, or remove it."
        )
    return PluginNames(identifier, package, distribution, folder)


def _same_content(a: str | Path, b: str | Path) -> bool:
    """Whether two files are there and have the same content."""
    return Path(a).is_file() and Path(b).is_file() and filecmp.cmp(a, b, shallow=False)


def _identifier(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower())


def export_plugin(
    name: str,
    weights: str | Path,
    directory: str | Path,
    *,
    description: str = "",
    results: Sequence[Evaluation] = (),
) -> Path:
    """Write an installable package with weights and model card.

    Parameters
    ----------
    name : str
        Of the model: letters, digits, "-" and "_".
    weights : str or Path
        Weights file; the model speaks for the first of its data sources.
    directory : str or Path
        Folder in which the package's folder is made.
    description : str, optional
        One line; that of the weights if not given.
    results : sequence of Evaluation, optional
        Evaluations for the model card.

    Returns
    -------
    Path
        The package's folder: ``pip install`` it, and ``model=name`` works. One that is there and
        holds the same weights is left as it is.

    Raises
    ------
    TrainingError
        The name is not usable or taken, the folder is there already with other weights, or no
        package offers the encoder.
    WeightsError
        The weights file is not sound.
    """
    names = plugin_names(name, directory, weights)
    folder, package = names.folder, names.package
    if folder.exists():
        return folder
    header = read_header(weights)
    dependencies = [f"ase-e3dos>={__version__}", *encoder_packages(header.encoder)]
    description = description or header.description or f"model {name}"
    fields = {
        "name": name,
        "identifier": names.identifier,
        "distribution": names.distribution,
        "package": package,
        "dependencies": json.dumps(dependencies),
        "description": description,
        "encoder": header.encoder,
        "source": header.sources[0] if len(header.sources) > 1 else None,
        "licence": header.licence,
        "citation": header.citation,
        "api_version": API_VERSION,
    }
    card = model_card(name, header, description, results, names.distribution)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Complete or not there at all: a folder cut off halfway would be in the way of the next try.
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as temporary:
        new = Path(temporary) / names.distribution
        (new / package).mkdir(parents=True)
        (new / "pyproject.toml").write_text(_PYPROJECT.format(**fields), encoding="utf-8")
        (new / "README.md").write_text(card, encoding="utf-8")
        (new / package / "__init__.py").write_text(_MODULE.format(**fields), encoding="utf-8")
        shutil.copyfile(weights, new / package / _WEIGHTS)
        new.rename(folder)
    return folder


def encoder_packages(encoder: str) -> list[str]:
    """Requirement on the package whose plug-in offers an encoder; none for ase-e3dos's own.

    Raises
    ------
    TrainingError
        No installed package offers the encoder, so nobody could use the weights.
    """
    from ase_e3dos.plugins import get_registry

    for row in get_registry().status():
        if encoder in row.encoders:
            if row.distribution == "ase-e3dos":
                return []
            if row.distribution:
                return [f"{row.distribution}>={row.version}"]
    raise TrainingError(
        f"the weights need the encoder {encoder!r}, and no installed package offers it. "
        "Make it a plug-in of a package first (docs/plugins/twenty-lines.md)."
    )


def model_card(
    name: str,
    header: WeightsHeader,
    description: str,
    results: Sequence[Evaluation] = (),
    distribution: str = "",
) -> str:
    """What a model is, was trained on, and is good for, as Markdown."""
    grid = header.grid
    own = header.own_elements if header.parent else header.elements
    known = {z: n for z, n in header.elements.items() if z not in own}
    rare = {z: n for z, n in own.items() if n < 10}
    files = header.own_files if header.parent else header.trained_on
    parent_files = {k: v for k, v in header.trained_on.items() if k not in files}
    lines = [
        f"# Model `{name}`",
        "",
        description,
        "",
        f"`pip install` the folder or the wheel of {distribution or 'this package'}; then",
        "",
        f"    e3dos predict structure.cif --model {name}",
        "",
        f"or, in Python, `ase_e3dos.E3DOSPredictor(model={name!r})`.",
        "",
        f"* Network: {header.network}, {header.members} member(s); encoder {header.encoder}.",
        f"* Grid: {grid.n} points from {grid.start:g} cm^-1 every {grid.step:g} cm^-1.",
        f"* Data sources: {', '.join(header.sources)}; it speaks for the first.",
        f"* Elements of the training data: {_symbols(own)}.",
        f"* Of these with fewer than ten crystals: {_symbols(rare)}.",
        *(
            [
                f"* Fine-tuned from `{header.parent}`. Elements that only its training data hold: "
                f"{_symbols(known)}."
            ]
            if header.parent
            else []
        ),
        f"* Intervals: {'calibrated' if header.calibration else 'not calibrated'}.",
        f"* Licence: {header.licence or 'not given'}.",
        f"* To cite: {header.citation or 'not given'}.",
        "",
        "## Training data",
        "",
        *_files(files),
        "",
        *([f"Of `{header.parent}`:", "", *_files(parent_files), ""] if parent_files else []),
        "## Errors",
        "",
    ]
    for found in results:
        lines += [
            f"{found.data}, split {found.split} "
            f"(`e3dos evaluate --model {name} --data {found.data} --split {found.split}`):",
            "",
            f"    {format_errors(found.errors)}",
            "",
        ]
    if not results:
        lines += ["Not evaluated. Run `e3dos evaluate` on data that it has not seen.", ""]
    lines += [
        "## Limits",
        "",
        "Harmonic spectra of ordered crystals like the training data; no bands, no anharmonicity, "
        "no LO-TO splitting beyond what the data hold. Predictions warn on unseen elements and "
        "unusual geometries.",
        "",
    ]
    return "\n".join(lines)


def _symbols(counts: Mapping[str, int]) -> str:
    symbols = [chemical_symbols[z] for z in sorted(map(int, counts))]
    return f"{len(symbols)} ({' '.join(symbols)})" if symbols else "none"


def _files(digests: Mapping[str, str]) -> list[str]:
    return [f"* {file}: sha256 {digest}" for file, digest in digests.items()]
