"""Train, calibrate and join the shipped ensemble `default` from the Parquet files.

    python docs/models/train_default.py --data-dir DATA --output runs/default

Every part resumes, so the same command goes on after a stop. With ``--only member-2`` or
``--only calibration-1`` parts run on several cores at once; without it all are done and joined.

Networks are trained jointly on DFPT, JARVIS and strained site-resolved spectra (preset
`default`); they differ in seed and in sizes. Two more learn from their mean besides, which is
predicted for crystals that have no labels. A copy of the first goes on as a student; the
predicted spectra keep it from learning the few DFPT spectra by heart. And a small network is
distilled: it begins anew and learns mostly what the others predict. It stands for the ensemble
where no error bars are wanted. Both join it; the last of the others, which has taught them, does
not, for the mean is more accurate without it.

The error model is fitted inside the training data, by cross-validation by composition. Networks
are pre-trained on the other two sources without any composition of the DFPT training set, then
trained on all three sources without the compositions of one fold, which the ensemble of such
networks then predicts.

Last, `calibrate_displacements.py` writes the error bars of displacements into the joined file.

The shipped file is not this script run once. Members 0 to 3 were trained by an earlier revision,
which displaced the two strains of a crystal independently; member 4 was planned for 18 epochs and
its schedule shortened to 14 after the tenth; the distilled network learned from members 0 to 4,
without strained crystals, the student from members 0 to 5. A rerun gives an ensemble of the same
kind, not the same numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ase_e3dos.data.composition import composition_key
from ase_e3dos.data.labelled_set import LabelledSet, read_labelled
from ase_e3dos.data.labels import DEFAULT_GRID
from ase_e3dos.evaluation.predictions import predictions
from ase_e3dos.network.site import SiteNetwork
from ase_e3dos.network.weights import load_weights, save_weights
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.plugins import get_registry
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures import read_each
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.training.calibration import CalibratedModel, calibrate, transferred
from ase_e3dos.training.config import DataConfig, TrainingConfig, read_config
from ase_e3dos.training.distillation import taught_set
from ase_e3dos.training.ensemble import join_members
from ase_e3dos.training.fit import Trainer, make_network
from ase_e3dos.training.run import train
from ase_e3dos.training.sampler import GraphSet
from ase_e3dos.training.selection import select, without_compositions
from ase_e3dos.training.weights_header import make_header

SOURCES = ["dfpt", "jarvis", "mlip"]
#: Each network of the calibration leaves an eighth of the DFPT training set out. Four of the
#: eighths give 609 crystals to calibrate on, at half the cost of all.
FOLDS = 8
CALIBRATED_FOLDS = 4

#: Random displacements in Å, of DFPT, JARVIS and strained crystals. They are what helps most on
#: the DFPT spectra, of which there are few, and blur the peaks of the others.
NOISE = (0.05, 0.02, 0.05)

WIDE = {
    "n_layers": 3,
    "scalars": 256,
    "vectors": 96,
    "message_scalars": 64,
    "message_vectors": 32,
    "hidden": 320,
}
DEEP = {
    "n_layers": 3,
    "scalars": 128,
    "message_scalars": 40,
    "message_vectors": 20,
    "dropout": 0.12,
}
#: The first four members: shorter epochs, fewer crystals of the other sources, and less weight
#: on the response to strain than the preset has.
FIRST = {"steps_per_epoch": 300, "epochs": 45, "data": {"jarvis": 24, "mlip": 5}}
#: What each member changes in the preset.
MEMBERS: list[dict[str, Any]] = [
    {**FIRST, "seed": 5, "positions_noise": 0.02, "epochs": 30, "loss": {"strain": 0.05}},
    {**FIRST, "seed": 6, "loss": {"strain": 0.05}},
    {**FIRST, "seed": 7, "epochs": 28, "settings": DEEP, "loss": {"strain": 0.05}},
    {**FIRST, "seed": 8, "positions_noise": 0.05, "epochs": 36, "loss": {"strain": 0.25}},
    {"seed": 11, "settings": WIDE, "positions_noise": 0.03, "epochs": 14},
    {"seed": 13, "positions_noise": 0.05, "steps_per_epoch": 600, "epochs": 18},
]

#: Sizes of the networks of the calibration, those of the preset.
FOLD_SETTINGS = {
    "scalars": 160,
    "vectors": 64,
    "message_scalars": 48,
    "message_vectors": 24,
    "hidden": 192,
    "dropout": 0.1,
}
#: Seeds of the networks that leave folds out; each is pre-trained once and goes on for every fold.
CALIBRATION = (1, 2, 3)
PRETRAINING: dict[str, Any] = {"epochs": 7, "learning_rate": 2e-3}
TRAINING_OF_FOLD: dict[str, Any] = {"epochs": 5, "learning_rate": 1.5e-3}

#: Unlabelled crystals on which the spreads of the calibration's ensembles and of the one that
#: ships are compared.
COMPARED = 300

#: Networks that only teach.
TEACHERS = (5,)
#: The member of which a copy goes on as a student of the ensemble, and for how long.
STUDENT_OF = 0
STUDY: dict[str, Any] = {"epochs": 7, "learning_rate": 1.2e-3}
#: Crystals of each set in a student's batch, the last those that the ensemble labels.
STUDENT_SIZES = (6, 30, 8, 16)
#: Unlabelled crystals for it.
TAUGHT_TO_STUDENT = 10_000

#: The distilled network learns from the labels and from the ensemble's spectra of unlabelled
#: crystals (source -> number of crystals).
TAUGHT = {"dfpt": 12_000, "jarvis": 5_000, "mlip": 3_000}
DISTILLED_SIZES = (8, 8, 6, 20, 8, 4)
DISTILLATION = {"epochs": 10, "learning_rate": 2e-3}
#: Unlabelled crystals are smaller than this.
LARGEST_TAUGHT = 20


def member_config(number: int) -> TrainingConfig:
    """Configuration of a member: the preset `default` with its changes."""
    changes = dict(MEMBERS[number])
    preset = read_config("default")
    settings = preset.settings | changes.pop("settings", {})
    per_batch = changes.pop("data", {})
    data = [
        part.model_copy(update={"per_batch": per_batch.get(source, part.per_batch)}).model_dump()
        for source, part in zip(SOURCES, preset.data, strict=True)
    ]
    return read_config("default", {**changes, "settings": settings, "data": data})


def train_member(number: int, data_dir: Path, output: Path) -> Path:
    """Train one member and write its weights."""
    folder = output / f"member-{number}"
    trained = train(member_config(number), data_dir, folder, report=print)
    return trained.save(folder / "weights.safetensors")


def folds(labelled: LabelledSet) -> NDArray[np.int64]:
    """Fold of each entry, by composition."""
    names = sorted(set(labelled.formulas))
    order = np.random.default_rng(2026).permutation(len(names))
    number = {names[k]: i % FOLDS for i, k in enumerate(order)}
    return np.array([number[f] for f in labelled.formulas])


def fit_network(
    sets: list[GraphSet],
    sizes: Sequence[int],
    schedule: dict[str, Any],
    folder: Path,
    seed: int,
    *,
    settings: dict[str, Any] = FOLD_SETTINGS,
    start: dict[str, Any] | None = None,
    noise: Sequence[float] = NOISE,
    strain: float = 0.3,
) -> tuple[TrainingConfig, SiteNetwork]:
    """Train a network on sets of graphs, `sizes` crystals of each a batch."""
    config = TrainingConfig(
        network="site",
        grid="default",
        settings=settings,
        data=[
            DataConfig(path=s.labelled.source, per_batch=n, positions_noise=shift)
            for s, n, shift in zip(sets, sizes, noise, strict=True)
        ],
        weight_decay=0.02,
        weight_average=0.999,
        loss={"strain": strain},
        seed=seed,
        **{"steps_per_epoch": 1000, **schedule},
    )
    torch.manual_seed(seed)
    network = make_network(config, get_registry().encoder("mass_one_hot"))
    assert isinstance(network, SiteNetwork)
    if start is not None:
        network.load_state_dict(start)
    trainer = Trainer(config, network, sets, [], folder, "cpu", print)
    trainer.resume()
    trained = trainer.run()
    assert isinstance(trained, SiteNetwork)
    return config, trained


def save_network(
    config: TrainingConfig, network: SiteNetwork, sets: list[GraphSet], folder: Path
) -> Path:
    """Write the weights of a network; `sets` are those with labels, which come first."""
    config = config.model_copy(update={"data": config.data[: len(sets)]})
    encoder = get_registry().encoder("mass_one_hot")
    header = make_header(config, network, encoder, sets, SOURCES, DEFAULT_GRID)
    path = folder / "weights.safetensors"
    save_weights(path, header, [network.state_dict()])
    return path


def graph_set(labelled: LabelledSet) -> GraphSet:
    """Graphs of a labelled set, numbered by its source."""
    encoder = get_registry().encoder("mass_one_hot")
    return GraphSet.build(labelled, 5.0, False, encoder, SOURCES.index(labelled.source))


def training_sets(data_dir: Path) -> list[LabelledSet]:
    """What the preset `default` trains on: DFPT, JARVIS, strained site spectra."""
    parts = read_config("default").data
    return [select(read_labelled(data_dir / part.path), part) for part in parts]


def unlabelled(data_dir: Path) -> list[Crystal]:
    """Small crystals without labels in random order, none of a validation set's composition."""
    pairs = read_each(data_dir / "structures_mp.parquet")
    crystals = [c for _, c in pairs if isinstance(c, Crystal) and c.n_sites <= LARGEST_TAUGHT]
    parts = read_config("default").validation
    judges = [select(read_labelled(data_dir / part.path), part) for part in parts]
    known = {composition_key(c) for judge in judges for c in judge.crystals}
    crystals = [c for c in crystals if composition_key(c) not in known]
    order = np.random.default_rng(2026).permutation(len(crystals))
    return [crystals[k] for k in order]


def taught(ensemble: Path, crystals: list[Crystal], source: str) -> GraphSet:
    """Crystals with the spectra that an ensemble predicts, speaking for a source."""
    teacher = Predictor(ensemble, "cpu")
    teacher.model.source = SOURCES.index(source)
    return graph_set(taught_set(teacher, crystals, source))


def train_student(member: Path, teachers: Path, data_dir: Path, output: Path) -> Path:
    """Let a copy of a member go on, taught by the ensemble beside the labels."""
    labelled = [graph_set(s) for s in training_sets(data_dir)]
    header, states = load_weights(member)
    folder = output / "student"
    config, network = fit_network(
        [*labelled, taught(teachers, unlabelled(data_dir)[:TAUGHT_TO_STUDENT], "dfpt")],
        STUDENT_SIZES,
        STUDY,
        folder,
        40,
        settings=header.settings_of(0),
        start=states[0],
        noise=(*NOISE, 0.03),
        strain=0.4,
    )
    return save_network(config, network, labelled, folder)


def calibration_weights(seed: int, data_dir: Path, output: Path) -> list[Path]:
    """Weights of the networks of one seed, one file for each fold left out."""
    dfpt, *others = training_sets(data_dir)
    strangers = [graph_set(without_compositions(s, dfpt)) for s in others]
    where = output / f"pretrained-{seed}"
    _, pretrained = fit_network(strangers, (44, 8), PRETRAINING, where, seed, noise=NOISE[1:])
    start = {k: v.clone() for k, v in pretrained.state_dict().items()}
    fold_of = folds(dfpt)
    files = []
    for fold in range(CALIBRATED_FOLDS):
        held_out = dfpt.subset(fold_of == fold)
        sets = [graph_set(dfpt.subset(fold_of != fold))]
        sets += [graph_set(without_compositions(s, held_out)) for s in others]
        folder = output / f"fold-{seed}-{fold}"
        config, network = fit_network(
            sets, (10, 24, 6), TRAINING_OF_FOLD, folder, 100 * seed + fold, start=start
        )
        files.append(save_network(config, network, sets, folder))
    return files


def distil(teachers: Path, data_dir: Path, output: Path) -> Path:
    """Train a small network to predict what the ensemble does."""
    crystals, first = unlabelled(data_dir), 0
    labelled = [graph_set(s) for s in training_sets(data_dir)]
    sets = list(labelled)
    for source, n in TAUGHT.items():
        sets.append(taught(teachers, crystals[first : first + n], source))
        first += n
    folder = output / "distilled"
    config, network = fit_network(
        sets,
        DISTILLED_SIZES,
        DISTILLATION,
        folder,
        1,
        noise=(0.0,) * len(sets),
        strain=0.4,
    )
    return save_network(config, network, labelled, folder)


def fit_error_model(
    files: list[list[Path]], ensemble: Path, data_dir: Path, output: Path
) -> CalibratedModel:
    """Out-of-fold predictions of all folds, and the error model that they give the ensemble."""
    dfpt, *others = training_sets(data_dir)
    fold_of = folds(dfpt)
    out_of_fold = []
    for fold in range(CALIBRATED_FOLDS):
        joined = join_members([f[fold] for f in files], output / f"fold-{fold}.safetensors")
        held_out = dfpt.subset(fold_of == fold)
        out_of_fold.append(predictions(Predictor(joined, "cpu"), held_out))
    model = calibrate(
        out_of_fold, f"{CALIBRATED_FOLDS} of {FOLDS} folds by composition, DFPT training set"
    )
    known = {composition_key(c) for s in (dfpt, *others) for c in s.crystals}
    new = [c for c in unlabelled(data_dir) if composition_key(c) not in known][:COMPARED]
    fitted, shipped = (
        [s for s in Predictor(path, "cpu").stream(new) if isinstance(s, PhononSpectrum)]
        for path in (output / "fold-0.safetensors", ensemble)
    )
    return transferred(model, fitted, shipped)


def main() -> None:
    """Do what is asked, and join everything when all of it is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/default"))
    parser.add_argument("--only", help="member-K or calibration-SEED")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data_dir, output = options.data_dir, options.output
    if options.only:
        kind, _, number = options.only.partition("-")
        task = train_member if kind == "member" else calibration_weights
        print(task(int(number), data_dir, output))
        return
    members = [train_member(k, data_dir, output) for k in range(len(MEMBERS))]
    teachers = join_members(members, output / "teachers.safetensors")
    distilled = distil(teachers, data_dir, output)
    members = [path for k, path in enumerate(members) if k not in TEACHERS]
    members += [train_student(members[STUDENT_OF], teachers, data_dir, output), distilled]
    ensemble = join_members(members, output / "ensemble.safetensors")
    files = [calibration_weights(seed, data_dir, output) for seed in CALIBRATION]
    model = fit_error_model(files, ensemble, data_dir, output)
    path = join_members(
        members,
        output / "default.safetensors",
        calibration=model.calibration,
        disagreement=model.disagreement,
        distilled=distilled,
        description="site-resolved spectra, DFPT, JARVIS and strained potential phonons",
        half=True,
    )
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
