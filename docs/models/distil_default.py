"""Teach `default` what the network of force constants knows: its last stage of training.

    python docs/models/distil_default.py label --data-dir DATA --start default.safetensors
    python docs/models/distil_default.py train --seed 0 --data-dir DATA --start default.safetensors
    python docs/models/distil_default.py train --seed 1 --data-dir DATA --start default.safetensors
    python docs/models/distil_default.py join --data-dir DATA --start default.safetensors

`force-constants` has smaller errors of the spectra than `default` has, and costs ten times as
much. The mean of 0.8 of its spectra and 0.2 of those of the network to be taught (the shares were
chosen by the DFPT validation set, where 0.7 to 0.9 differ little; the lowest bins are better by
halves on both validation sets) labels

1. crystals without labels of up to 20 sites, and of JARVIS's training set up to 16 sites, whose
   formulas are in neither validation set of DFPT and the phonon database, and not among those that
   the strain test keeps out;
2. 110,000 crystals of up to eight sites that are made from known ones by exchanging elements of a
   family (`taught_crystals.FAMILIES`), at a volume that fits: simple crystals have the largest
   errors, and are few among the others. No formula of these validation sets, or that may not be
   labelled, is made.
   (Some of JARVIS's validation set are: do not judge `default` by that one.)
3. 15,000 small ones of both at a strain of one to two and a half per cent besides.

Sound velocities are geometric means of both networks', with more of that to be taught; of
displacement tensors the sizes are its own, which the force constants have too large, and the shapes
theirs. Crystals that only the force constants call unstable are left out. Whether a labelled
crystal is unstable is said by the network to be taught, which knows that better.

Then that network (`--start`) learns these spectra together with all labels, twice in different
order, and what ships is the mean of the weights of both and of the beginning. It keeps the error
bars of the beginning, which `calibrate_default.py` fits anew.

What ships was made so three times: from the network of `train_default.py` with 34,000 crystals and
4,900 strained ones for 12,000 steps (commit 42d69eb), from that with 20,000 of 2 besides for 14,000
(commit 902a6be), and from that as it stands here, when 131,800 of the 159,359 crystals had been
labelled: all of the exchanged but some, and of the others the small ones. The first ten epochs ran
with the learning rates of twenty, and the second training stopped an epoch before its end.

Labels lie in the output folder in parts of 200 crystals, and training resumes: a run that was
stopped goes on. Several processes may label at once, one of them from the end (`--backwards`); a
part that a stopped one had begun is labelled anew when its file *.begun is deleted.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from taught_crystals import Pool, hidden_formulas, pool
from torch import Tensor
from train_default import (
    SOURCES,
    Key,
    held_out,
    keys,
    with_error_bars_of,
    write,
)

from ase_e3dos.data.labelled_set import LabelledSet
from ase_e3dos.data.labels import DEFAULT_GRID
from ase_e3dos.network.weights import load_weights
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.plugins import get_registry
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.training.checkpoint import CHECKPOINT, read_checkpoint
from ase_e3dos.training.config import DataConfig, TrainingConfig, read_config
from ase_e3dos.training.fit import Trainer
from ase_e3dos.training.new_network import make_network
from ase_e3dos.training.run import load_part
from ase_e3dos.training.sampler import GraphSet
from ase_e3dos.training.selection import select

#: Share of the force constants in the labels; the rest is the starting network's.
SHARE = 0.8
#: The share of the force constants at the lowest wavenumbers, and between which (cm^-1) it rises.
LOW_SHARE, LOW = 0.5, (30.0, 90.0)
#: Of both in the logarithms of sound velocities.
SOUND_SHARES = np.array([0.4, 0.6])
#: Crystals a batch: the preset's four sets, then unlabelled, JARVIS's, pairs and exchanged.
PER_BATCH = (12, 5, 3, 6, 12, 4, 8, 24)
EPOCHS, STEPS, LEARNING_RATE = 16, 500, 1.2e-3
#: Sizes that differ from the preset's. With these spectra the network errs as much on crystals that
#: it learns from as on others, so that nothing is left out.
SETTINGS = {"dropout": 0.0}
#: Terms of the loss that differ from the defaults.
LOSS = {"strain": 0.3, "low_temperature": 0.5}
#: Share of the weights at the ends of the trainings in those that ship; the rest is of before.
#: Looked at on the validation sets: shares from a half to one differ little; with less than one the
#: response to strain is better kept, with more than a half R2 and entropies are better.
END = 0.75
#: More imaginary modes than this, where the starting network gives lower odds than that.
SUSPICIOUS_SHARE, SUSPICIOUS_ODDS = 0.03, 0.3
PART = 200
#: Trainings from the same beginning with the same crystals in another order, which are joined.
SEEDS = (0, 1)
#: What is written of sites: bins and tensors by the force constants and by the network, and of
#: crystals.
SITES_SAID = ("bins", "own", "displacements", "own_displacements")
CRYSTALS_SAID = ("sound", "odds", "sizes")


def label(crystals: list[Crystal], start: Path, folder: Path, backwards: bool = False) -> None:
    """Write what both networks say of the crystals, those parts that no process has begun."""
    folder.mkdir(parents=True, exist_ok=True)
    constants, network = Predictor("force-constants", "cpu"), Predictor(start, "cpu")
    firsts = range(0, len(crystals), PART)
    for first in reversed(firsts) if backwards else firsts:
        file = folder / f"{first:06d}.npz"
        try:
            file.with_suffix(".begun").touch(exist_ok=False)
        except FileExistsError:
            continue
        some = crystals[first : first + PART]
        said: dict[str, list[Any]] = {name: [] for name in (*SITES_SAID, *CRYSTALS_SAID)}
        for one, other in zip(constants.stream(some), network.stream(some), strict=True):
            spectra = [s for s in (one, other) if isinstance(s, PhononSpectrum)]
            sites = [s.site_density for s in spectra if s.site_density is not None]
            refused = len(sites) < 2 or sites[0].shape != sites[1].shape
            said["sizes"].append(0 if refused else len(sites[0]))
            said["odds"].append(np.nan if refused else spectra[1].instability or 0.0)
            sound = [None, None] if refused else [s.sound_velocity for s in spectra]
            said["sound"].append([np.nan if v is None else v for v in sound])
            if not refused:
                tensors = [log_displacements(s) for s in spectra]
                values = (*(s / s.sum(axis=1, keepdims=True) for s in sites), *tensors)
                for name, value in zip(SITES_SAID, values, strict=True):
                    said[name].append(value.astype(np.float16))
        unfinished = folder / f"{first:06d}.part.npz"
        np.savez(
            unfinished,
            **{name: np.concatenate(said[name]) for name in SITES_SAID},
            **{name: np.array(said[name]) for name in CRYSTALS_SAID},
        )
        unfinished.replace(file)


def log_displacements(spectrum: PhononSpectrum) -> NDArray[np.floating[Any]]:
    """Logarithms of the tensors, NaN where there are none: (n_sites, 3, 6)."""
    known = spectrum.log_displacements
    return np.full((spectrum.crystal.n_sites, 3, 6), np.nan) if known is None else known


@dataclass(frozen=True)
class Taught:
    """What the teachers say of n crystals.

    Attributes
    ----------
    bins, log_displacements : list of ndarray or None
        Of each crystal, shapes (n_sites, 480) and (n_sites, 3, 6); None where it is not known.
    sound, odds : ndarray
        Sound velocity in km/s and probability of instability, NaN where not known, shape (n,).
    """

    bins: list[NDArray[np.float32] | None]
    log_displacements: list[NDArray[np.float32] | None]
    sound: NDArray[np.float64]
    odds: NDArray[np.float64]


def labels(folder: Path, n: int) -> Taught:
    """What is written of the n crystals."""
    none: list[NDArray[np.float32] | None] = [None] * n
    found = Taught(none, list(none), np.full(n, np.nan), np.full(n, np.nan))
    for file in sorted(folder.glob("??????.npz")):
        with np.load(file) as part:
            first, sizes = int(file.stem), part["sizes"]
            found.odds[first : first + len(sizes)] = part["odds"]
            with np.errstate(invalid="ignore"):
                velocity = np.exp(np.log(part["sound"]) @ SOUND_SHARES)
            found.sound[first : first + len(sizes)] = velocity
            ends = np.cumsum(sizes)[:-1]
            both = (part[name].astype(np.float32) for name in ("bins", "own"))
            bins = np.split(mixed(*both), ends)
            # Sizes are the network's own: those of the force constants are too large.
            logs = part["displacements"].astype(np.float32)
            logs[..., 0] = part["own_displacements"][..., 0]
            tensors = np.split(logs, ends)
            for k, (some, each) in enumerate(zip(bins, tensors, strict=True), start=first):
                if len(some):
                    found.bins[k] = some / some.sum(axis=1, keepdims=True)
                    found.log_displacements[k] = each if np.isfinite(each).all() else None
    return found


def mixed(constants: NDArray[np.float32], network: NDArray[np.float32]) -> NDArray[np.float32]:
    """Site spectra of both teachers, shape (n, 480), as one: the lowest bins are the network's."""
    ramp = np.clip((DEFAULT_GRID - LOW[0]) / (LOW[1] - LOW[0]), 0.0, 1.0)
    rising = LOW_SHARE + (SHARE - LOW_SHARE) * ramp
    share = np.where(DEFAULT_GRID < 0, SHARE, rising).astype(np.float32)
    return share * constants + (1 - share) * network


def taught(
    crystals: list[Crystal], said: Taught, index: list[int], names: list[str], strain: list[float]
) -> LabelledSet:
    """What the teachers said of some of the crystals, as a set like those of DFT."""
    imaginary = DEFAULT_GRID < -5.0
    kept: list[int] = []
    found: list[NDArray[np.float32]] = []
    for k in index:
        sites = said.bins[k]
        if sites is None:
            continue
        share = sites[:, imaginary].sum(axis=1).mean()
        if share > SUSPICIOUS_SHARE and said.odds[k] < SUSPICIOUS_ODDS:
            continue
        kept.append(k)
        found.append(sites)
    unstable = np.where(said.odds[kept] > 0.5, 1.0, 0.0)
    return LabelledSet(
        kind="site",
        source=SOURCES[0],
        ids=[names[k] for k in kept],
        formulas=[crystals[k].formula for k in kept],
        splits=["train"] * len(kept),
        crystals=[crystals[k] for k in kept],
        bins=found,
        label=None,
        label_imaginary=None,
        strain=np.array([strain[k] for k in kept]),
        reference={"imaginary_fraction": unstable},
        sha256="",
        log_displacements=[None if said.odds[k] > 0.5 else said.log_displacements[k] for k in kept],
        sound_velocity=np.where(unstable > 0, np.nan, said.sound[kept]),
    )


def taught_sets(crystals: Pool, folder: Path) -> list[LabelledSet]:
    """Unlabelled crystals, JARVIS's, pairs at two strains, and exchanged."""
    every = crystals.crystals
    said = labels(folder, len(every))
    n, m, p = len(crystals.unlabelled), len(crystals.jarvis), len(crystals.strained)
    pairs = []
    # Of the unlabelled or the exchanged: those come last.
    originals = [int(k) if k < n else int(k) + m + p for k in crystals.originals]
    for k, original in enumerate(originals):
        both = (original, n + m + k)
        if all(said.bins[i] is not None for i in both):
            pairs += both
    names = [f"taught-{k}" for k in range(len(every))]
    for k, original in enumerate(originals):
        names[n + m + k] = names[original]
    strain = [0.0] * (n + m) + crystals.strains.tolist() + [0.0] * len(crystals.exchanged)
    parts = (
        list(range(n)),
        list(range(n, n + m)),
        pairs,
        list(range(n + m + p, len(every))),
    )
    return [taught(every, said, index, names, strain) for index in parts]


def labelled_sets(data_dir: Path) -> list[LabelledSet]:
    """The preset's training sets without the formulas of both validation sets."""
    config = read_config("default")
    judged: set[Key] = set()
    for part in config.data[:2]:
        judged |= set(keys(load_part(part, data_dir).split("valid")))
    labelled = []
    for part in config.data:
        chosen = select(load_part(part, data_dir), part)
        labelled.append(chosen.subset(np.array([k not in judged for k in keys(chosen)])))
    return labelled


def with_graphs(labelled: LabelledSet, cutoff: float = 5.0) -> GraphSet:
    """The set as training reads it."""
    encoder = get_registry().encoder(read_config("default").encoder)
    return GraphSet.build(labelled, cutoff, False, encoder, SOURCES.index(labelled.source))


def student_config(**fields: Any) -> TrainingConfig:
    """The preset with the sets of the teachers besides, and other fields where given."""
    config = read_config("default")
    data = [
        p.model_copy(update={"per_batch": n}) for p, n in zip(config.data, PER_BATCH, strict=False)
    ]
    data += [
        DataConfig(path=f"taught-{k}", per_batch=n, positions_noise=0.0)
        for k, n in enumerate(PER_BATCH[len(data) :])
    ]
    schedule = {"epochs": EPOCHS, "steps_per_epoch": STEPS, "learning_rate": LEARNING_RATE}
    return config.model_copy(update={"data": data, **schedule, **fields})


def train(data_dir: Path, sets: list[LabelledSet], start: Path, folder: Path, seed: int) -> None:
    """Train to the end; the checkpoint has the network."""
    config = student_config(seed=seed, loss=LOSS)
    config = config.model_copy(update={"settings": {**config.settings, **SETTINGS}})
    training = [with_graphs(s) for s in (*labelled_sets(data_dir), *sets)]
    judges = [with_graphs(select(load_part(p, data_dir), p)) for p in config.validation]
    network = make_network(config, get_registry().encoder(config.encoder))
    # Blocks begin as the identity.
    network.load_state_dict(network.state_dict() | load_weights(start)[1][0])
    trainer = Trainer(config, network, training, judges, folder, "cpu", report)
    trainer.resume()
    trainer.run()


def mean_state(ends: list[dict[str, Tensor]], begin: Path) -> dict[str, Tensor]:
    """Mean of the weights at the ends of the trainings, and of that and those at the beginning.

    At the beginning blocks that were not there are the identity: their last maps are zero, and all
    else as at the end.
    """
    state = load_weights(begin)[1][0]
    found = {}
    for name in ends[0]:
        value = torch.stack([end[name] for end in ends]).mean(0)
        former = state.get(name, torch.zeros_like(value) if ".second." in name else value)
        found[name] = END * value + (1 - END) * former.to(value.dtype)
    return found


def report(line: str) -> None:
    """Print it at once."""
    print(line, flush=True)


def main() -> None:
    """Label, train, and write the file that ships."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("label", "train", "join"))
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True, help="the network to be taught")
    parser.add_argument("--seed", type=int, choices=SEEDS, default=0, help="which training")
    parser.add_argument("--backwards", action="store_true", help="label the last ones first")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/distilled"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, output, start = options.data_dir, options.output, options.start
    folders = [output / f"network-{seed}" for seed in SEEDS]
    if options.stage != "join":
        crystals = pool(data, hidden_formulas(data))
        if options.stage == "label":
            label(crystals.crystals, start, output / "labels", options.backwards)
        else:
            sets = taught_sets(crystals, output / "labels")
            report(f"crystals of the teachers, by set: {[len(s) for s in sets]}")
            train(data, sets, start, folders[options.seed], options.seed)
        return
    ends = [read_checkpoint(folder / CHECKPOINT, torch.device("cpu"))[0] for folder in folders]
    state = mean_state([end["average"] for end in ends], start)
    last = output / "last.safetensors"
    write(data, last, state, held_out(data)[1], SETTINGS)
    shipped = output / "default.safetensors"
    with_error_bars_of(last, start, shipped)
    print(f"{shipped}: {shipped.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
