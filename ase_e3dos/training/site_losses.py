"""Losses of a site network over a batch of several data sets, and its pass in half precision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ase_e3dos.data.labelled_set import SLOWEST_SOUND
from ase_e3dos.network.graph import GraphBatch
from ase_e3dos.network.site import SiteNetwork, SiteOutput
from ase_e3dos.training.loss import SiteLoss
from ase_e3dos.training.sampler import GraphSet, MixedBatch


def forward_in_bfloat16(network: SiteNetwork, graph: GraphBatch, source: Tensor) -> SiteOutput:
    """A site network with its layers in bfloat16; edge functions and results are float32."""
    basis = network.edge_functions(graph)
    with torch.autocast(source.device.type, torch.bfloat16):
        output: SiteOutput = network(graph, source, basis)
    sides = (output.log_displacements, output.log_sound, output.log_odds_unstable)
    return SiteOutput(
        output.log_weights.float(), *(None if side is None else side.float() for side in sides)
    )


def site_network_loss(
    network: Callable[..., SiteOutput],
    loss: SiteLoss,
    batch: MixedBatch,
    source: Tensor,
    sets: list[GraphSet],
    transferred: set[int],
    device: torch.device,
) -> Tensor:
    """Sum of the mean losses of the data sets in a batch, each by its number of crystals.

    Where the network has H heads, each learns the spectra of all compositions but one part in H,
    so that they differ on what a part of the data alone tells.
    """
    graph = batch.graph.to(device)
    output = network(graph, source.to(device))
    heads = output.log_weights
    parts = np.concatenate([sets[number].parts[entries] for number, entries, _ in batch.parts])
    total = heads.new_zeros(())
    for head, log_weights in enumerate(heads):
        shares = torch.ones(len(parts))
        if len(heads) > 1:
            kept = torch.from_numpy(parts % len(heads) != head)
            shares = kept.float() / (len(heads) - 1)
        total = total + _spectrum_loss(
            log_weights.exp(),
            loss,
            batch,
            graph,
            sets,
            transferred,
            shares.to(device),
            1 / len(heads),
        )
    total = total + _side_loss(output, loss, batch, graph, sets, transferred)
    mean: Tensor = total / batch.graph.n_crystals
    return mean


def _spectrum_loss(
    site_weights: Tensor,
    loss: SiteLoss,
    batch: MixedBatch,
    graph: GraphBatch,
    sets: list[GraphSet],
    transferred: set[int],
    shares: Tensor,
    of_head: float,
) -> Tensor:
    """Losses of one head's spectra, each crystal's times its share, responses times the head's."""
    device = site_weights.device
    in_order = site_weights.index_select(0, graph.site_order)
    index = torch.repeat_interleave(torch.arange(graph.n_crystals, device=device), graph.n_sites)
    crystal = in_order.new_zeros(graph.n_crystals, in_order.shape[1]).index_add(0, index, in_order)
    crystal = crystal / graph.n_sites.unsqueeze(1)
    total = in_order.new_zeros(())
    for number, entries, span in batch.parts:
        labelled = sets[number].labelled
        p, share = crystal[span], shares[span]
        if labelled.kind == "raw":
            bins = torch.from_numpy(labelled.bins[entries]).to(device)
            assert labelled.label is not None
            label = torch.from_numpy(labelled.label[entries]).to(device)
            part = (share * loss.raw(p, bins, label)).sum()
        elif labelled.kind == "sampled":
            assert labelled.label is not None
            label = torch.from_numpy(labelled.label[entries]).to(device)
            part = (share * loss.sampled(p, label)).sum()
        else:
            sites = [torch.from_numpy(labelled.bins[i]) for i in entries]
            q = torch.stack([s.mean(0) for s in sites]).to(device)
            part = in_order.new_zeros(())
            if number not in transferred:
                rows = in_order[(index >= span.start) & (index < span.stop)]
                per_site = loss.sites(rows, torch.cat(sites).to(device))
                of_site = share / graph.n_sites[span].to(per_site.dtype)
                weights = torch.repeat_interleave(of_site, graph.n_sites[span])
                part = part + (share * loss.raw(p, q, None)).sum() + (per_site * weights).sum()
            pairs = _pairs([labelled.ids[i] for i in entries])
            if len(pairs):
                part = part + of_head * loss.strain(p, q, pairs.to(device)) * len(pairs)
        total = total + part
    return total


def _side_loss(
    output: SiteOutput,
    loss: SiteLoss,
    batch: MixedBatch,
    graph: GraphBatch,
    sets: list[GraphSet],
    transferred: set[int],
) -> Tensor:
    """Losses of displacement tensors and sound velocities, where they are known and predicted."""
    device = output.log_weights.device
    total = output.log_weights.new_zeros(())
    tensors = output.log_displacements
    if tensors is not None:
        tensors = tensors.index_select(0, graph.site_order)
    ends = graph.first_site + graph.n_sites
    for number, entries, span in batch.parts:
        labelled = sets[number].labelled
        if output.log_odds_unstable is not None and labelled.kind != "sampled":
            # Sampled spectra end too near to zero, and are too noisy there, to tell.
            unstable = torch.from_numpy(labelled.unstable[entries]).to(device)
            total = total + loss.stability(output.log_odds_unstable[span], unstable).sum()
        if number in transferred:
            continue
        known = labelled.log_displacements
        if known is not None and tensors is not None:
            for k, i in enumerate(entries, start=span.start):
                if (reference := known[i]) is not None:
                    rows = tensors[int(graph.first_site[k]) : int(ends[k])]
                    there = torch.from_numpy(reference).to(device)
                    total = total + loss.displacements(rows, there).mean()
        if output.log_sound is not None and labelled.sound_velocity is not None:
            velocity = torch.from_numpy(labelled.sound_velocity[entries].astype(np.float32))
            usable = (velocity > SLOWEST_SOUND).to(device)  # NaN is not
            logs = velocity.to(device)[usable].log()
            total = total + loss.sound(output.log_sound[span][usable], logs).sum()
    return total


def _pairs(names: list[str]) -> Tensor:
    """Neighbouring entries of the same crystal, shape (n_pairs, 2)."""
    rows = [(i, i + 1) for i in range(len(names) - 1) if names[i] == names[i + 1]]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 2)
