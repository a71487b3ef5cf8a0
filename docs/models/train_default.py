"""Train, calibrate and join the shipped ensemble `default` from the Parquet files.

    python docs/models/train_default.py --data-dir DATA --output runs/default

Every part resumes, so the same command goes on after a stop. With ``--only member-2`` or
``--only calibration-1`` parts run on several cores at once; without it all are done and joined.

Members are trained jointly on DFPT, JARVIS and strained site-resolved spectra (preset
`default`); they differ in seed, in the size of the random displacements and in depth.

The error model is fitted inside the training data. Compositions of all DFPT crystals are taken
out of the other two sources, networks are pre-trained on what remains, then fine-tuned four
times, each time without one fold of the DFPT training compositions; the fold is predicted by
the ensemble of the fine-tuned networks, which never saw its compositions in any source.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ase_e3dos.network.weights import save_weights
from ase_e3dos.plugins import get_registry
from ase_e3dos.predictor import Predictor
from ase_e3dos.training.calibration import CalibratedModel, calibrate
from ase_e3dos.training.config import TrainingConfig, read_config
from ase_e3dos.training.dataset import LabelledSet, read_labelled
from ase_e3dos.training.ensemble import join_members
from ase_e3dos.training.evaluation import predictions
from ase_e3dos.training.fit import Trainer, make_network
from ase_e3dos.training.labels import DEFAULT_GRID
from ase_e3dos.training.run import train
from ase_e3dos.training.sampler import GraphSet
from ase_e3dos.training.selection import select
from ase_e3dos.training.weights_header import make_header

SOURCES = ["dfpt", "jarvis", "mlip"]
FOLDS = 4

DEEP = {
    "n_layers": 3,
    "scalars": 128,
    "message_scalars": 40,
    "message_vectors": 20,
    "dropout": 0.12,
}
#: What each member changes in the preset.
MEMBERS: list[dict[str, Any]] = [
    {"seed": 5, "positions_noise": 0.02, "epochs": 30},
    {"seed": 6},
    {"seed": 7, "epochs": 28, "settings": DEEP},
    {"seed": 8, "positions_noise": 0.05, "epochs": 36, "loss": {"strain": 0.25}},
]

#: The smaller networks of the calibration.
PRETRAINING = {"epochs": 14, "steps_per_epoch": 300, "learning_rate": 2e-3}
FINE_TUNING = {"epochs": 8, "steps_per_epoch": 150, "learning_rate": 1.2e-3}
CALIBRATION_SEEDS = (1, 2, 3)


def member_config(number: int) -> TrainingConfig:
    """Configuration of a member: the preset `default` with its changes."""
    changes = dict(MEMBERS[number])
    settings = read_config("default").settings | changes.pop("settings", {})
    return read_config("default", {**changes, "settings": settings})


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


def calibration_weights(seed: int, data_dir: Path, output: Path) -> list[Path]:
    """Weights of the networks of one seed, one file for each fold left out."""
    preset = read_config("default")
    encoder = get_registry().encoder("mass_one_hot")
    whole = {s: read_labelled(data_dir / d.path) for s, d in zip(SOURCES, preset.data, strict=True)}
    known = set(whole["dfpt"].formulas)
    parts = {s: select(whole[s], d) for s, d in zip(SOURCES, preset.data, strict=True)}
    for source in ("jarvis", "mlip"):
        new = np.array([f not in known for f in parts[source].formulas])
        parts[source] = parts[source].subset(new)
    graphs = {
        s: GraphSet.build(parts[s], 5.0, False, encoder, SOURCES.index(s))
        for s in ("jarvis", "mlip")
    }

    def fit(
        sets: list[GraphSet],
        sizes: list[int],
        changes: dict[str, Any],
        number: int,
        folder: Path,
        start: dict[str, Any] | None,
    ) -> Any:
        data = [{"path": "x", "per_batch": n} for n in sizes]
        config = TrainingConfig(
            network="site",
            grid="default",
            settings={"dropout": 0.1},
            data=data,
            weight_decay=0.02,
            weight_average=0.999,
            positions_noise=0.03,
            seed=number,
            **changes,
        )
        torch.manual_seed(number)
        network = make_network(config, encoder)
        if start is not None:
            network.load_state_dict(start)
        trainer = Trainer(config, network, sets, [], folder, "cpu", print)
        trainer.resume()
        return config, trainer.run()

    _, pretrained = fit(
        list(graphs.values()), [24, 5], PRETRAINING, seed, output / f"pretrained-{seed}", None
    )
    start = {k: v.clone() for k, v in pretrained.state_dict().items()}
    fold_of = folds(parts["dfpt"])
    files = []
    for fold in range(FOLDS):
        inside = GraphSet.build(parts["dfpt"].subset(fold_of != fold), 5.0, False, encoder, 0)
        folder = output / f"fold-{seed}-{fold}"
        sets = [inside, graphs["jarvis"], graphs["mlip"]]
        config, network = fit(sets, [10, 12, 4], FINE_TUNING, 100 * seed + fold, folder, start)
        header = make_header(config, network, encoder, sets, SOURCES, DEFAULT_GRID)
        path = folder / "weights.safetensors"
        save_weights(path, header, [network.state_dict()])
        files.append(path)
    return files


def fit_error_model(files: list[list[Path]], data_dir: Path, output: Path) -> CalibratedModel:
    """Out-of-fold predictions of all folds, and the error model that they give."""
    dfpt = select(read_labelled(data_dir / "dfpt_petretto.parquet"), read_config("default").data[0])
    fold_of = folds(dfpt)
    out_of_fold = []
    for fold in range(FOLDS):
        joined = join_members([f[fold] for f in files], output / f"fold-{fold}.safetensors")
        held_out = dfpt.subset(fold_of == fold)
        out_of_fold.append(predictions(Predictor(joined, "cpu"), held_out))
    return calibrate(
        out_of_fold, f"{FOLDS}-fold cross-validation by composition, DFPT training set"
    )


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
    files = [calibration_weights(seed, data_dir, output) for seed in CALIBRATION_SEEDS]
    model = fit_error_model(files, data_dir, output)
    path = join_members(
        members,
        output / "default.safetensors",
        calibration=model.calibration,
        disagreement=model.disagreement,
        description="site-resolved spectra, DFPT, JARVIS and strained potential phonons",
    )
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
