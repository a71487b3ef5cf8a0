"""Training losses for the paper's network and for site spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ase_e3dos.data.labels import (
    DEFAULT_GRID,
    JARVIS_GRID,
    PAPER_GRID,
    pair_sum_matrix,
    paper_label_matrix,
)
from ase_e3dos.spectrum.constants import constants


def paper_loss(predicted: Tensor, label: Tensor) -> Tensor:
    """Mean squared error of max-normalised spectra, the paper's loss.

    Parameters
    ----------
    predicted, label : Tensor, shape (n_crystals, n_points)
        Spectra, each divided by its maximum.

    Returns
    -------
    Tensor, shape ()
    """
    return nn.functional.mse_loss(predicted, label)


#: Temperatures in K at which heat capacities of spectra are compared by their logarithms: at these
#: the lowest modes decide, of which a spectrum as a whole has too few to matter to other terms.
LOW_TEMPERATURES = (15.0, 25.0, 40.0)
#: Share of the classical heat capacity below which a reference is not compared: noise.
LEAST_HEAT_CAPACITY = 1e-4


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of `SiteLoss`; lengths of the distances in units of 20 cm^-1."""

    wasserstein: float = 0.3
    absolute: float = 0.5
    squared: float = 10.0
    imaginary: float = 1.0
    site: float = 0.3
    strain: float = 0.05
    high_frequency: float = 0.3
    displacement: float = 1.0
    sound: float = 1.0
    stability: float = 0.4
    low_temperature: float = 0.0


class SiteLoss(nn.Module):
    """Distances between predicted and reference bin weights.

    For each crystal: Wasserstein-1 distance of the spectra (what the heat capacity and the
    average frequency depend on), sum of absolute differences and mean squared difference of
    the max-normalised labels (what the published measures are), difference of the imaginary
    weight; where asked for, of stable ones, logarithms of heat capacities at low temperatures.
    Where site spectra are known, their Wasserstein distances too; where one crystal
    is known at several strains, the change of the logarithm of its average frequency. Where they
    are known and the network gives them, logarithms of displacement tensors and sound velocities,
    and whether modes are imaginary.
    """

    def __init__(self, weights: LossWeights) -> None:
        super().__init__()
        self.weights = weights
        grid = DEFAULT_GRID
        self.register_buffer("grid", torch.tensor(grid, dtype=torch.float32))
        above = np.where(grid > 1000, weights.high_frequency, 1.0) * 10 / 20
        self.register_buffer("distance", torch.tensor(above, dtype=torch.float32))
        for name, start in (("label_stable", -5.0), ("label_unstable", None)):
            matrix = paper_label_matrix(grid, PAPER_GRID, start)
            self.register_buffer(name, torch.from_numpy(matrix))
        heat = np.array([_heat_capacity(grid, t) for t in LOW_TEMPERATURES])
        self.register_buffer("heat", torch.tensor(heat.T, dtype=torch.float32), persistent=False)
        self.register_buffer("jarvis", torch.from_numpy(pair_sum_matrix(grid, JARVIS_GRID)))

    def wasserstein(self, p: Tensor, q: Tensor) -> Tensor:
        """Distance of rows of bin weights (n, 480), in units of 20 cm^-1, shape (n,)."""
        difference = (p - q).cumsum(1).abs()
        return (difference * self.get_buffer("distance")).sum(1)

    def _shape(self, label: Tensor, reference: Tensor) -> Tensor:
        """Absolute and squared differences of labels (n, n_points), shape (n,)."""
        p_sum = label / label.sum(1, keepdim=True).clamp_min(1e-6)
        y_sum = reference / reference.sum(1, keepdim=True)
        p_max = label / label.amax(1, keepdim=True).clamp_min(1e-6)
        absolute = (p_sum - y_sum).abs().sum(1)
        squared = ((p_max - reference) ** 2).mean(1)
        return self.weights.absolute * absolute + self.weights.squared * squared

    def paper_labels(self, p: Tensor, stable: Tensor) -> Tensor:
        """Bin weights (n, 480) to clipped paper labels (n, 51)."""
        calm = p @ self.get_buffer("label_stable").T
        soft = p @ self.get_buffer("label_unstable").T
        return torch.where(stable.unsqueeze(1), calm, soft).clamp_min(0)

    def _imaginary(self, p: Tensor, q: Tensor) -> Tensor:
        negative = self.get_buffer("grid") < 0
        return (p[:, negative].sum(1) - q[:, negative].sum(1)).abs()

    def raw(self, p: Tensor, q: Tensor, label: Tensor | None) -> Tensor:
        """Loss of crystals with raw spectra: bin weights p, q (n, 480), label (n, 51)."""
        stable = q[:, : int((self.get_buffer("grid") < -20).sum())].sum(1) < 1e-4
        predicted = self.paper_labels(p, stable)
        if label is None:
            label = self.paper_labels(q, stable)
            label = label / label.amax(1, keepdim=True).clamp_min(1e-6)
        found = (
            self.weights.wasserstein * self.wasserstein(p, q)
            + self._shape(predicted, label)
            + self.weights.imaginary * self._imaginary(p, q)
        )
        if self.weights.low_temperature:
            found = found + torch.where(stable, self.low_temperatures(p, q), 0.0)
        return found

    def low_temperatures(self, p: Tensor, q: Tensor) -> Tensor:
        """Loss of heat capacities at low temperatures: rows of bin weights p, q, shape (n,)."""
        heat = self.get_buffer("heat")
        of_p, of_q = p @ heat, q @ heat
        logs = of_p.clamp_min(LEAST_HEAT_CAPACITY).log(), of_q.clamp_min(LEAST_HEAT_CAPACITY).log()
        each = nn.functional.smooth_l1_loss(*logs, beta=0.1, reduction="none")
        known = (of_q > LEAST_HEAT_CAPACITY).to(each.dtype)
        return self.weights.low_temperature * (each * known).mean(1)

    def sampled(self, p: Tensor, label: Tensor) -> Tensor:
        """Loss of crystals with 66-point spectra, on that range only."""
        predicted = p @ self.get_buffer("jarvis").T
        p_sum = predicted / predicted.sum(1, keepdim=True).clamp_min(1e-6)
        y_sum = label / label.sum(1, keepdim=True)
        distance = (p_sum - y_sum).cumsum(1).abs().sum(1)
        return self.weights.wasserstein * distance + self._shape(predicted, label)

    def sites(self, p: Tensor, q: Tensor) -> Tensor:
        """Loss of site spectra: rows p, q (n_sites, 480), shape (n_sites,)."""
        return self.weights.site * self.wasserstein(p, q)

    def mean_wavenumber(self, p: Tensor) -> Tensor:
        """Average frequency in cm^-1 of rows of bin weights, shape (n,)."""
        return p @ self.get_buffer("grid")

    def strain(self, p: Tensor, q: Tensor, pairs: Tensor) -> Tensor:
        """Mean absolute difference of the changes of ln(average frequency), in percent.

        Parameters
        ----------
        p, q : torch.Tensor
            Predicted and reference bin weights of crystals, shape (n, 480).
        pairs : torch.Tensor
            Rows of the same crystal at two strains, shape (n_pairs, 2).
        """
        mean_p = self.mean_wavenumber(p).clamp_min(10.0).log()
        mean_q = self.mean_wavenumber(q).clamp_min(10.0).log()
        change_p = mean_p[pairs[:, 0]] - mean_p[pairs[:, 1]]
        change_q = mean_q[pairs[:, 0]] - mean_q[pairs[:, 1]]
        return self.weights.strain * 100 * (change_p - change_q).abs().clamp_max(0.5).mean()

    def displacements(self, p: Tensor, q: Tensor) -> Tensor:
        """Loss of logarithms of displacement tensors: rows p, q (n_sites, 3, 6), shape (n_sites,).

        Absolute differences, squared near zero; the five components of the shape count 0.6.
        """
        each = nn.functional.smooth_l1_loss(p, q, beta=0.1, reduction="none")
        size, shape = each[..., 0].mean(1), each[..., 1:].sum(2).mean(1)
        return self.weights.displacement * (size + 0.6 * shape)

    def sound(self, p: Tensor, q: Tensor) -> Tensor:
        """Loss of logarithms of sound velocities p, q (n,), shape (n,)."""
        each = nn.functional.smooth_l1_loss(p, q, beta=0.1, reduction="none")
        return self.weights.sound * each

    def stability(self, log_odds: Tensor, unstable: Tensor) -> Tensor:
        """Cross entropy of log odds against 0 or 1, both of shape (n,), shape (n,)."""
        each = nn.functional.binary_cross_entropy_with_logits(log_odds, unstable, reduction="none")
        return self.weights.stability * each


def _heat_capacity(wavenumbers: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Einstein's, of modes at these wavenumbers in cm^-1, over k_B; of imaginary ones zero."""
    x = np.clip(wavenumbers * constants().kelvin_per_cm / temperature, 1e-6, 80.0)
    return np.asarray(np.where(wavenumbers > 0, x**2 * np.exp(-x) / np.expm1(-x) ** 2, 0.0))
