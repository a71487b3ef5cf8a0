"""Ensembles: several networks trained alike with other seeds, joined into one weights file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ase_e3dos.errors import TrainingError
from ase_e3dos.network.weights import WeightsHeader, load_weights, save_weights
from ase_e3dos.spectrum.uncertainty import Calibration
from ase_e3dos.training.config import TrainingConfig
from ase_e3dos.training.folders import new_folders
from ase_e3dos.training.run import Report, quiet, train
from ase_e3dos.training.weights_header import digests_by_name


def train_ensemble(
    config: TrainingConfig,
    n_members: int,
    data_dir: str | Path | None,
    directory: str | Path,
    device: str = "auto",
    report: Report = quiet,
) -> Path:
    """Train the members one after the other and join them.

    Parameters
    ----------
    config : TrainingConfig
        Of every member; member k has the seed `config.seed` + k and the folder "member-k"
        (a single one has the run's own folder).
    n_members : int
        Their number.
    data_dir, directory, device, report
        As for `train`. Members that are finished already are not trained again.

    Returns
    -------
    Path
        `directory`/weights.safetensors.
    """
    folder = Path(directory)
    numbers = range(n_members)
    places = [folder / f"member-{k}" for k in numbers] if n_members > 1 else [folder]
    members = []
    # All at once: the folders tell how many there will be, should the run be stopped.
    with new_folders(*places):
        for number, where in zip(numbers, places, strict=True):
            member = config.model_copy(update={"seed": config.seed + number})
            label = f"member {number}: " if n_members > 1 else ""

            def said(line: str, label: str = label) -> None:
                report(label + line)

            trained = train(member, data_dir, where, device, said)
            members.append(trained.save(where / "weights.safetensors"))
    if n_members == 1:
        return members[0]
    return join_members(members, folder / "weights.safetensors")


def join_members(
    files: Sequence[str | Path],
    path: str | Path,
    *,
    calibration: Calibration | None = None,
    disagreement: float | None = None,
    distilled: str | Path | None = None,
    description: str = "",
    half: bool = False,
) -> Path:
    """Join weights files of one kind of network into one file.

    Parameters
    ----------
    files : sequence of str or Path
        Weights files, of one or several networks each.
    path : str or Path
        File to write.
    calibration : Calibration, optional
        Error model of the ensemble.
    disagreement : float, optional
        Relative spread of the average frequency beyond which a prediction warns.
    distilled : str or Path, optional
        Weights file of one network that stands for the ensemble's mean.
    description : str, optional
        One line for the header; by default that of the first file and the number of members.
    half : bool, optional
        Store matrices in float16, as `ase_e3dos.network.weights.save_weights` does.

    Raises
    ------
    TrainingError
        The files differ in network, sizes, grid, encoder or data sources.
    """
    if not files:
        raise TrainingError("no weights files were given to join.")
    headers: list[WeightsHeader] = []
    states: list[dict[str, Any]] = []
    sizes: list[dict[str, Any]] = []
    for file in files:
        header, found = load_weights(file)
        _check_alike(file, header, headers)
        headers.append(header)
        states += found[: header.members]
        sizes += [header.settings_of(k) for k in range(header.members)]
    first = headers[0]
    trust = dict(first.trust)
    ranges = [h.trust["filling"] for h in headers if "filling" in h.trust]
    if ranges:
        trust["filling"] = [min(r[0] for r in ranges), max(r[1] for r in ranges)]
    if disagreement is not None:
        trust["disagreement"] = [disagreement]
    elements: Counter[str] = Counter()
    trained_on: dict[str, str] = {}
    for header in headers:
        elements |= Counter(header.elements)
        # One file may have had another name in another member's training.
        new = [item for item in header.trained_on.items() if item[1] not in trained_on.values()]
        trained_on = digests_by_name([*trained_on.items(), *new])
    if distilled is not None:
        header, found = load_weights(distilled)
        _check_alike(distilled, header, headers)
        states.append(found[0])
        sizes.append(header.settings_of(0))
    joined = replace(
        first,
        members=len(states) - (distilled is not None),
        settings=sizes[0],
        other_settings={str(k): s for k, s in enumerate(sizes) if s != sizes[0]},
        elements=dict(sorted(elements.items(), key=lambda item: int(item[0]))),
        trust=trust,
        trained_on=trained_on,
        distilled=distilled is not None,
        calibration=first.calibration if calibration is None else calibration.to_dict(),
        description=description or f"{first.description}, {len(states)} members",
    )
    save_weights(path, joined, states, half)
    return Path(path)


def _check_alike(file: str | Path, header: WeightsHeader, others: list[WeightsHeader]) -> None:
    if not others:
        return
    first = others[0]
    for name in ("network", "grid", "encoder", "encoder_version", "sources", "label_like"):
        if getattr(header, name) != getattr(first, name):
            raise TrainingError(
                f"{file}: its {name} is {getattr(header, name)!r}, that of the first file "
                f"{getattr(first, name)!r}. Only networks that are alike make an ensemble."
            )
