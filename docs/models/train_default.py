"""Train, calibrate and write the shipped network `default` from the Parquet files.

    python docs/models/train_default.py --data-dir DATA --potential nequix-oam-1-pft.nqx \\
        --former default-of-0.1.safetensors --labels labels.parquet --output runs/default

1. A head on the features of a pre-trained potential (`trunk.py`) learns the spectra of the phonon
   database, of the DFPT training set and of the potential's own phonons.
2. The head, and the ensemble of seven networks that version 0.1 shipped (`--former`; without it the
   head alone), predict the site spectra of 16,100 crystals without labels. Shares of 0.65 and 0.35
   were chosen on the crystals of step 4.
3. A network learns all labels and these spectra together (preset `default`). Each of its four
   heads leaves out the spectra of one composition in four.
4. Error bars are fitted on crystals that this network did not see, of formulas drawn by a hash: a
   quarter of the formulas of the phonon database that are in no other set, and a tenth of the DFPT
   training set's. Neither validation set is touched.
5. The network is trained further, with the crystals of step 4 among the others, with phonons of
   more small crystals by the potential (`--labels`, as `e3dos label` writes them), and with the
   spectra of 22,000 crystals without labels that head, ensemble and network predict together. It
   keeps the error bars of step 4: its errors are smaller, and whether the intervals hold is seen
   on the validation sets.

Every step leaves a file in the output folder and is not done again. What
`distil_default.py` starts from, and so what ships, is this script's with three differences: its
steps 1 to 3 and 5 ran as separate scripts (`--state` and `--final` take what they left), the
potential's features came from a compiled kernel (see `trunk.py`), and the preset had no blocks
where sites are read out.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from trunk import Trunk, TrunkHead, predicted_sites, train_head

from ase_e3dos.data.composition import composition_key
from ase_e3dos.data.labelled_set import LabelledSet
from ase_e3dos.data.labels import DEFAULT_GRID
from ase_e3dos.errors import E3DOSError
from ase_e3dos.evaluation.predictions import Predictions, predictions
from ase_e3dos.evaluation.reference import imaginary_shares, reference_spectra
from ase_e3dos.network.weights import load_weights, save_weights
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.plugins import get_registry
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.reading import read_each
from ase_e3dos.training.calibration import fit_calibration, with_displacements_and_sound
from ase_e3dos.training.config import DataConfig, read_config
from ase_e3dos.training.fit import Trainer
from ase_e3dos.training.new_network import make_network
from ase_e3dos.training.run import load_part
from ase_e3dos.training.sampler import GraphSet
from ase_e3dos.training.selection import candidates, select
from ase_e3dos.training.weights_header import make_header

Key = tuple[tuple[int, int], ...]

SOURCES = ["dfpt", "jarvis", "nequix"]
PHONONDB, DFPT, NEQUIX = "dft_phonondb.parquet", "dfpt_petretto.parquet", "mlip_nequix.parquet"
#: Sets of the teaching head: file, crystals a batch, largest crystal, number of the source.
HEAD_SETS = ((PHONONDB, 24, 28, 0), (DFPT, 8, 40, 0), (NEQUIX, 8, 16, 2))
#: Share of the teaching head in the spectra of crystals without labels.
HEAD_SHARE = 0.65
#: Crystals without labels: up to so many of at most eight sites, larger ones of so many sites.
SMALL, LARGE_SITES, TAUGHT_PER_BATCH = 13_000, 100_000, 20
#: Of step 5: shares of head, ensemble and network; larger crystals; crystals a batch of each set.
LAST_SHARES, LAST_SITES, LAST_PER_BATCH = (0.4, 0.3, 0.3), 180_000, (16, 8, 8, 8)
LAST_EPOCHS, LAST_LEARNING_RATE, LAST_TAUGHT = 16, 1.2e-3, 16
#: References with a larger share of imaginary modes calibrate nothing.
CALIBRATED = 0.01


def drawn(key: Key, share: float) -> bool:
    """Whether a composition is among those that calibrate, by its hash."""
    digest = hashlib.sha256(f"calibration:{key}".encode()).hexdigest()[:8]
    return int(digest, 16) / 2**32 < share


def keys(labelled: LabelledSet) -> list[Key]:
    """Composition of each crystal."""
    return [composition_key(c) for c in labelled.crystals]


def held_out(data_dir: Path) -> tuple[set[Key], set[Key]]:
    """Compositions of the calibration, and those of both validation sets."""
    sets = {p.path: load_part(p, data_dir) for p in read_config("default").data}
    database, dfpt = sets[PHONONDB], sets[DFPT]
    judges = set(keys(database.split("valid"))) | set(keys(dfpt.split("valid")))
    others = {k for name, s in sets.items() if name != PHONONDB for k in keys(s)}
    calibration = {k for k in keys(database.split("train")) if k not in others and drawn(k, 0.25)}
    calibration |= {k for k in keys(dfpt.split("train")) if drawn(k, 0.1)}
    return calibration - judges, judges


def without(labelled: LabelledSet, compositions: set[Key]) -> LabelledSet:
    """The crystals of other compositions."""
    return labelled.subset(np.array([k not in compositions for k in keys(labelled)], dtype=bool))


def only(labelled: LabelledSet, compositions: set[Key]) -> LabelledSet:
    """The crystals of these compositions."""
    return labelled.subset(np.array([k in compositions for k in keys(labelled)], dtype=bool))


def unlabelled(
    data_dir: Path, trunk: Trunk, hidden: set[Key], large_sites: int = LARGE_SITES
) -> list[Crystal]:
    """Crystals without labels that the potential knows, none of a hidden or labelled formula."""
    import pyarrow.parquet as pq

    allowed = set(pq.read_table(data_dir / "labelling_candidates.parquet")["id"].to_pylist())
    parts = read_config("default").data
    known = hidden | {k for p in parts[:2] for k in keys(load_part(p, data_dir))}
    found = [
        c
        for name, c in read_each(data_dir / "structures_mp.parquet")
        if name in allowed
        and isinstance(c, Crystal)
        and c.n_sites <= 24
        and trunk.knows(c)
        and composition_key(c) not in known
    ]
    order = np.random.default_rng(0).permutation(len(found))
    small = [found[k] for k in order if found[k].n_sites <= 8][:SMALL]
    large = [found[k] for k in order if found[k].n_sites > 8]
    sites = np.cumsum([c.n_sites for c in large])
    return small + large[: int(np.searchsorted(sites, large_sites))]


def teaching_head(data_dir: Path, output: Path, trunk: Trunk, hidden: set[Key]) -> TrunkHead:
    """Step 1."""
    file = output / "head.pt"
    head = TrunkHead()
    if file.is_file():
        head.load_state_dict(torch.load(file, weights_only=True))
        return head.eval()
    sets = []
    for name, size, largest, source in HEAD_SETS:
        part = next(p for p in read_config("default").data if p.path == name)
        labelled = without(candidates(load_part(part, data_dir), part), hidden)
        usable = [trunk.knows(c) and c.n_sites <= largest for c in labelled.crystals]
        labelled = labelled.subset(np.array(usable, dtype=bool))
        sets.append((labelled, trunk.features(labelled.crystals), size, source))
    head = train_head(sets)
    torch.save(head.state_dict(), file)
    return head


def taught_set(
    file: Path,
    crystals: list[Crystal],
    trunk: Trunk,
    head: TrunkHead,
    others: list[tuple[float, Path]],
) -> LabelledSet:
    """Steps 2 and 5: crystals without labels, with the spectra that the teachers predict.

    `others` are weights files with their shares of the spectra; the head has the rest. Where one of
    them refuses a crystal, the rest speaks for it.
    """
    if not file.is_file():
        bins = predicted_sites(head, crystals, trunk.features(crystals))
        share = 1 - sum(share for share, _ in others)
        bins = [share * b for b in bins]
        for share, weights in others:
            for k, spectrum in enumerate(Predictor(weights, "cpu").stream(crystals)):
                if isinstance(spectrum, PhononSpectrum) and spectrum.site_density is not None:
                    theirs = spectrum.site_density / spectrum.site_density.sum(1, keepdims=True)
                    bins[k] = bins[k] + share * theirs
        np.save(file, np.concatenate(bins).astype(np.float16))
    rows = np.load(file).astype(np.float32)
    ends = np.cumsum([c.n_sites for c in crystals])[:-1]
    n = len(crystals)
    return LabelledSet(
        kind="site",
        source=SOURCES[0],
        ids=[f"taught-{k}" for k in range(n)],
        formulas=[c.formula for c in crystals],
        splits=["train"] * n,
        crystals=crystals,
        bins=np.split(rows / rows.sum(axis=1, keepdims=True), ends),
        label=None,
        label_imaginary=None,
        strain=np.zeros(n),
        reference={},
        sha256="",
    )


def train_network(
    data_dir: Path,
    file: Path,
    taught: LabelledSet,
    hidden: set[Key],
    labels: Path | None = None,
    start: Path | None = None,
) -> None:
    """Steps 3 and 5: the weights, without error bars; from the beginning, or from other weights."""
    if file.is_file():
        return
    config = read_config("default")
    per_batch = TAUGHT_PER_BATCH
    if start is not None:
        parts = [
            p.model_copy(update={"per_batch": n})
            for p, n in zip(config.data, LAST_PER_BATCH, strict=True)
        ]
        schedule = {"epochs": LAST_EPOCHS, "learning_rate": LAST_LEARNING_RATE}
        config = config.model_copy(update={"data": parts, **schedule})
        per_batch = LAST_TAUGHT
    encoder = get_registry().encoder(config.encoder)
    labelled = [without(select(load_part(p, data_dir), p), hidden) for p in config.data]
    if labels is not None:
        part = config.data[-1].model_copy(update={"path": str(labels.resolve())})
        labelled.append(without(select(load_part(part, data_dir), part), hidden))
        config = config.model_copy(update={"data": [*config.data, part]})
    part = DataConfig(path="taught", per_batch=per_batch, positions_noise=0.0)
    config = config.model_copy(update={"data": [*config.data, part]})
    training = [
        GraphSet.build(s, 5.0, False, encoder, SOURCES.index(s.source)) for s in (*labelled, taught)
    ]
    judges = [
        GraphSet.build(s, 5.0, False, encoder, SOURCES.index(s.source))
        for s in (select(load_part(p, data_dir), p) for p in config.validation)
    ]
    network = make_network(config, encoder)
    if start is not None:
        # A start of former versions has no blocks; they begin as the identity.
        network.load_state_dict(network.state_dict() | load_weights(start)[1][0])
    trainer = Trainer(config, network, training, judges, file.with_suffix(""), "cpu", print)
    trainer.resume()
    write(data_dir, file, trainer.run().state_dict(), hidden)


def write(
    data_dir: Path,
    file: Path,
    state: dict[str, torch.Tensor],
    hidden: set[Key],
    settings: Mapping[str, Any] | None = None,
) -> None:
    """A weights file with its header; settings where they differ from the preset's."""
    config = read_config("default")
    encoder = get_registry().encoder(config.encoder)
    blocks = {name.split(".")[1] for name in state if name.startswith("read_blocks.")}
    sizes = {**config.settings, **(settings or {}), "read_blocks": len(blocks)}
    if not any(name.startswith("read_stability") for name in state):
        sizes["stability"] = 0  # of a first network without it
    config = config.model_copy(update={"settings": sizes})
    network = make_network(config, encoder)
    network.load_state_dict(state)
    sets = []
    for part in config.data:
        labelled = without(select(load_part(part, data_dir), part), hidden)
        nothing = np.zeros(len(labelled), dtype=np.int64)
        sets.append(GraphSet(labelled, [], [], SOURCES.index(labelled.source), [], nothing))
    header = make_header(config, network, encoder, sets, SOURCES, DEFAULT_GRID)
    header = replace(
        header,
        description="site spectra, displacement tensors, sound velocities and stability; four "
        "heads on one trunk, taught by a pre-trained potential and the ensemble of version 0.1",
    )
    save_weights(file, header, [network.state_dict()], half=True)


def calibrate(data_dir: Path, weights: Path, shipped: Path, compositions: set[Key]) -> None:
    """Step 4: error bars into the file that ships."""
    predictor = Predictor(weights, "cpu")
    found: list[Predictions] = []
    for part in read_config("default").data[:2]:
        labelled = only(candidates(load_part(part, data_dir), part), compositions)
        calm = labelled.subset(imaginary_shares(labelled) <= CALIBRATED)
        found.append(predictions(predictor, calm))
    # The few DFPT crystals count as many times as makes both sets equal.
    times = (1, max(1, round(len(found[0].spectra) / len(found[1].spectra))))
    predicted = [s for f, n in zip(found, times, strict=True) for s in f.spectra * n]
    reference = [
        s for f, n in zip(found, times, strict=True) for s in reference_spectra(f.labelled) * n
    ]
    crystals = sum(len(f.spectra) for f in found)
    source = f"{crystals} crystals of formulas kept out of all training"
    model = with_displacements_and_sound(
        fit_calibration(predicted, reference, source=source), found[0]
    )
    header, states = load_weights(weights)
    trust = {**header.trust, "disagreement": [model.disagreement]}
    header = replace(header, calibration=model.calibration.to_dict(), trust=trust)
    save_weights(shipped, header, states, half=True)


def with_error_bars_of(weights: Path, calibrated: Path, shipped: Path) -> None:
    """Step 5: the file that ships, of the last network and the first one's error bars."""
    header, states = load_weights(weights)
    known = load_weights(calibrated)[0]
    trust = {**header.trust, "disagreement": known.trust["disagreement"]}
    header = replace(header, calibration=known.calibration, trust=trust)
    save_weights(shipped, header, states, half=True)


def main() -> None:
    """Do what is not done yet, and write the file that ships."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--potential", type=Path, help="weights of the potential, .nqx")
    parser.add_argument("--former", type=Path, help="the ensemble of version 0.1")
    parser.add_argument("--labels", type=Path, help="more phonons of the potential, .parquet")
    parser.add_argument("--state", type=Path, help="a trained state dict in place of steps 1 to 3")
    parser.add_argument("--final", type=Path, help="a trained state dict in place of step 5")
    parser.add_argument("--output", type=Path, default=Path("runs/default"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, output = options.data_dir, options.output
    output.mkdir(parents=True, exist_ok=True)
    calibration, judges = held_out(data)
    hidden = calibration | judges
    first, last = output / "first.safetensors", output / "last.safetensors"
    if options.state is not None and options.final is not None:
        write(data, first, torch.load(options.state, weights_only=True), hidden)
        write(data, last, torch.load(options.final, weights_only=True), judges)
    elif options.potential is None:
        raise E3DOSError(
            "Give the potential's weights with --potential, or states with --state and --final."
        )
    else:
        trunk = Trunk(options.potential)
        head = teaching_head(data, output, trunk, hidden)
        former = [] if options.former is None else [options.former]
        crystals = unlabelled(data, trunk, hidden)
        others = [(1 - HEAD_SHARE, f) for f in former]
        taught = taught_set(output / "taught.npy", crystals, trunk, head, others)
        train_network(data, first, taught, hidden)
        crystals = unlabelled(data, trunk, hidden, LAST_SITES)
        others = list(zip(LAST_SHARES[1:], [*former, first], strict=False))
        taught = taught_set(output / "taught-last.npy", crystals, trunk, head, others)
        train_network(data, last, taught, judges, options.labels, first)
    calibrated = output / "first-calibrated.safetensors"
    calibrate(data, first, calibrated, calibration)
    shipped = output / "default.safetensors"
    with_error_bars_of(last, calibrated, shipped)
    print(f"{shipped}: {shipped.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
