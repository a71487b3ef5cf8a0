"""Trials of what limits `default`: networks trained shortly, alike but for one thing.

    python docs/models/default_variants.py --data-dir DATA -o runs/distilled [NAME ...]
    python docs/models/default_variants.py --table

The output folder holds the spectra of the teachers as `distil_default.py label` leaves them.
The first trials train a network (of the preset, without its blocks) from scratch for 1,000 steps of
64 crystals, some minutes of one core; the last ones train what ships, with its blocks, for 1,000
steps more. All are judged on the DFPT validation set, on the stable crystals of phonondb's, and by
the teachers' spectra: those of 500 crystals that no trial learns from, and of 500 that most learn
from (what ships has learned from all of them). Where these agree, more spectra of the kind would
not help; a larger network or another form could.

A trial that ended is not run again; one that was stopped goes on. The record is
docs/models/default-variants.json, and --table prints it. (The spectra of the teachers differ from
teaching to teaching: what was trained or judged by others is not compared by them.)
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attention import add_attention
from distil_default import (
    STEPS,
    labelled_sets,
    student_config,
    taught_sets,
    with_graphs,
)
from taught_crystals import hidden_formulas, pool
from train_default import NEQUIX, PHONONDB

import ase_e3dos
from ase_e3dos.data.labelled_set import LabelledSet
from ase_e3dos.evaluation.reference import imaginary_shares
from ase_e3dos.network.weights import load_weights
from ase_e3dos.plugins import get_registry
from ase_e3dos.training.config import read_config
from ase_e3dos.training.fit import Trainer
from ase_e3dos.training.new_network import make_network
from ase_e3dos.training.run import load_part
from ase_e3dos.training.sampler import GraphSet
from ase_e3dos.training.selection import select

RECORD = Path(__file__).with_name("default-variants.json")
MODELS = Path(ase_e3dos.__file__).parent / "models"
EPOCHS, LEARNING_RATE = 2, 0.002
#: Crystals with the teachers' spectra that judge: as many that no trial learns from.
JUDGES = 500
#: Share of imaginary modes up to which a crystal of phonondb counts as stable.
STABLE = 0.01


@dataclass(frozen=True)
class Variant:
    """One trial.

    Attributes
    ----------
    words : str
        What it is.
    settings, fields : dict
        Sizes of the network, and fields of the configuration, that differ.
    labelled, taught : float
        Shares of the crystals with labels of DFT or a potential, and of those with the teachers'.
    start : str
        Model whose weights it starts from as far as they fit; empty from scratch.
    attention : bool
        Whether its layers attend to neighbours (`attention.py`).
    without : tuple of str
        Files whose labels it does not learn from; phonondb has their places in a batch.
    noise : float, optional
        Noise of the positions in Å, where it differs.
    """

    words: str
    settings: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    labelled: float = 1.0
    taught: float = 1.0
    start: str = ""
    attention: bool = False
    without: tuple[str, ...] = ()
    noise: float | None = None


JARVIS = "dft_jarvis.parquet"
FURTHER = {"learning_rate": 0.0012}
#: Of what ships; without them its other weights do not fit together.
BLOCKS = {"read_blocks": 3}
TENSORS = {"tensors": 32, "message_tensors": 10}
VARIANTS = {
    "whole": Variant("from scratch, all labels and all spectra of the teachers"),
    "taught-4": Variant("a quarter of the teachers' spectra", taught=1 / 4),
    "taught-16": Variant("a sixteenth of them", taught=1 / 16),
    "labels": Variant("none of them: labels alone", taught=0.0),
    "labels-4": Variant("a quarter of the labels alone", labelled=1 / 4, taught=0.0),
    "labels-16": Variant("a sixteenth of the labels alone", labelled=1 / 16, taught=0.0),
    "wide": Variant(
        "twice as wide",
        {
            "scalars": 320,
            "vectors": 128,
            "message_scalars": 80,
            "message_vectors": 40,
            "hidden": 448,
        },
    ),
    "hidden": Variant("twice as many hidden units", {"hidden": 448}),
    "tensors": Variant("features of l = 2 throughout", TENSORS),
    "deep": Variant("five layers", {"n_layers": 5}),
    "far": Variant("neighbours to 6.5 Å", {"cutoff": 6.5, "neighbors": 66.0, "n_radial": 10}),
    "attention": Variant("attention over neighbours, four heads", attention=True),
    "blocks": Variant("three blocks where sites are read out", {"read_blocks": 3}),
    "kept": Variant("no dropout", {"dropout": 0.0}),
    "no-noise": Variant("no noise of positions", noise=0.0),
    "no-average": Variant("no averaging of weights", fields={"weight_average": 0.0}),
    "no-squares": Variant(
        "no squared error in the loss", fields={"loss": {"strain": 0.3, "squared": 0.0}}
    ),
    "no-jarvis": Variant("without JARVIS's labels", without=(JARVIS,)),
    "no-potential": Variant("without the potential's labels", without=(NEQUIX,)),
    "long": Variant("the first one, five times as long", fields={"epochs": 10}),
    "long-labels": Variant("labels alone, five times as long", fields={"epochs": 10}, taught=0.0),
    "long-tensors": Variant("l = 2, five times as long", TENSORS, {"epochs": 10}),
    "long-attention": Variant(
        "attention, five times as long", fields={"epochs": 10}, attention=True
    ),
    "forces": Variant("trunk of force-constants", start="force-constants"),
    "further": Variant("what ships, trained further", BLOCKS, FURTHER, start="default"),
    "further-kept": Variant(
        "what ships, further without dropout",
        {"dropout": 0.0, **BLOCKS},
        FURTHER,
        start="default",
    ),
    "further-labels": Variant(
        "what ships, further on labels alone", BLOCKS, FURTHER, taught=0.0, start="default"
    ),
}


def main() -> None:
    """Run the trials asked for, or print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=", ".join(VARIANTS))
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/distilled"))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        print(table())
        return
    if options.data_dir is None:
        parser.error("--data-dir is needed to train")
    torch.set_num_threads(1)
    crystals = pool(options.data_dir, hidden_formulas(options.data_dir))
    data = Data(options.data_dir, taught_sets(crystals, options.output / "labels"))
    for name in options.names or VARIANTS:
        if name not in record():
            errors = trial(VARIANTS[name], data, options.output / "variants" / name)
            RECORD.write_text(json.dumps(record() | {name: errors}, indent=1) + "\n", "utf-8")


class Data:
    """Training sets and judges of all trials, with graphs for one cut-off at a time.

    Parameters
    ----------
    data_dir : Path
        Folder of the Parquet files.
    taught : list of LabelledSet
        From `taught_sets`.
    """

    def __init__(self, data_dir: Path, taught: list[LabelledSet]) -> None:
        parts = read_config("default").data
        database = load_part(parts[0], data_dir).split("valid")
        assert parts[0].path == PHONONDB
        calm = database.subset(imaginary_shares(database) <= STABLE)
        judge = read_config("default").validation[0]
        dfpt = select(load_part(judge, data_dir), judge)
        order = np.random.default_rng(1).permutation(len(taught[0]))
        unseen, rest = taught[0].subset(order[:JUDGES]), taught[0].subset(order[JUDGES:])
        hidden = set(unseen.ids)
        pairs = taught[2].subset(np.array([name not in hidden for name in taught[2].ids]))
        # A share takes the first ones: those seen are learned from by every trial with any.
        self.sets = [*labelled_sets(data_dir), rest, taught[1], pairs, taught[3]]
        self.judges = [
            (dfpt, "dfpt"),
            (calm, "phonondb"),
            (unseen, "unseen"),
            (rest.subset(np.arange(JUDGES)), "seen"),
        ]
        self.cutoff = 0.0
        self.training: list[GraphSet] = []
        self.validation: list[GraphSet] = []

    def build(self, cutoff: float) -> None:
        """Graphs with neighbours to `cutoff` Å."""
        if cutoff == self.cutoff:
            return
        self.training, self.validation = [], []
        self.cutoff = cutoff
        self.training = [with_graphs(s, cutoff) for s in self.sets]
        for labelled, name in self.judges:
            graphs = with_graphs(labelled, cutoff)
            self.validation.append(replace(graphs, labelled=replace(labelled, source=name)))


def share_of(graphs: GraphSet, share: float) -> GraphSet:
    """The first crystals of a set, those of one name together."""
    names = list(dict.fromkeys(graphs.labelled.ids))
    kept = set(names[: round(share * len(names))])
    index = [k for k, name in enumerate(graphs.labelled.ids) if name in kept]
    place = {old: new for new, old in enumerate(index)}
    return replace(
        graphs,
        labelled=graphs.labelled.subset(index),
        graphs=[graphs.graphs[k] for k in index],
        features=[graphs.features[k] for k in index],
        groups=[[place[k] for k in group] for group in graphs.groups if group[0] in place],
        parts=graphs.parts[index],
    )


def trial(variant: Variant, data: Data, folder: Path) -> dict[str, Any]:
    """Errors of a network that was trained for a trial, and its size."""
    schedule = {"epochs": EPOCHS, "steps_per_epoch": STEPS, "learning_rate": LEARNING_RATE}
    config = student_config(**(schedule | variant.fields))
    settings = {**config.settings, "read_blocks": 0, **variant.settings}
    config = config.model_copy(update={"settings": settings})
    data.build(variant.settings.get("cutoff", 5.0))
    sets, parts = data.training, config.data
    shares = [variant.labelled] * 4 + [variant.taught] * (len(sets) - 4)
    if not variant.taught:
        sets, parts, shares = sets[:4], parts[:4], shares[:4]
        parts = [p.model_copy(update={"per_batch": 2 * p.per_batch}) for p in parts]
    places = sum(p.per_batch for p in parts if p.path in variant.without)
    noise = {} if variant.noise is None else {"positions_noise": variant.noise}
    kept = [k for k, p in enumerate(parts) if p.path not in variant.without]
    sets, shares = [sets[k] for k in kept], [shares[k] for k in kept]
    parts = [parts[k] for k in kept]
    parts = [
        p.model_copy(update={"per_batch": p.per_batch + (places if k == 0 else 0), **noise})
        for k, p in enumerate(parts)
    ]
    config = config.model_copy(update={"data": parts})
    sets = [s if share == 1 else share_of(s, share) for s, share in zip(sets, shares, strict=True)]
    network = make_network(config, get_registry().encoder(config.encoder))
    if variant.start:
        state = load_weights(MODELS / f"{variant.start}.safetensors")[1][0]
        own = network.state_dict()
        fits = {
            key: value
            for key, value in state.items()
            if key in own and own[key].shape == value.shape
        }
        network.load_state_dict(own | fits)
    if variant.attention:
        add_attention(network)
    trainer = Trainer(config, network, sets, data.validation, folder, "cpu", print)
    trainer.resume()
    trainer.run()
    rows = trainer.history.rows
    n_labelled = sum(
        len(s.labelled) for s, p in zip(sets, parts, strict=True) if not p.path.startswith("taught")
    )
    measures = ("R2", "MAE", "WD", "Cv_cell", "wbar", "within10")
    found = {
        judge: {key: float(f"{rows[-1][f'{prefix}_{key}']:.5g}") for key in measures}
        for judge, prefix in zip(
            ("dfpt", "phonondb", "unseen", "seen"),
            ("valid", "phonondb", "unseen", "seen"),
            strict=True,
        )
    }
    return {
        "crystals": n_labelled,
        "taught": sum(len(s.labelled) for s in sets) - n_labelled,
        "parameters": sum(p.numel() for p in network.parameters()),
        "seconds_per_step": float(f"{np.median([r['seconds'] for r in rows]) / STEPS:.3g}"),
        **found,
        "R2_by_epoch": [float(f"{r['valid_R2']:.4f}") for r in rows],
    }


def record() -> dict[str, dict[str, Any]]:
    """What the trials reached, by their names."""
    known: dict[str, dict[str, Any]] = json.loads(RECORD.read_text("utf-8"))
    return known


def table() -> str:
    """Markdown, a row a trial."""
    lines = [
        "| trial | labels | taught | parameters | R², DFPT | WD | C_V | R², phonondb | "
        "R², teachers: unseen | seen |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    known = record()
    for name, variant in VARIANTS.items():
        if name in known:
            r = known[name]
            lines.append(
                f"| {variant.words} | {r['crystals']:,} | {r['taught']:,} | "
                f"{r['parameters'] / 1e6:.1f} M | {r['dfpt']['R2']:.3f} | {r['dfpt']['WD']:.1f} | "
                f"{r['dfpt']['Cv_cell']:.2f} | {r['phonondb']['R2']:.3f} | "
                + " | ".join(f"{r[j]['R2']:.3f}" if j in r else "" for j in ("unseen", "seen"))
                + " |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
