"""Densities as they come from a network, checked and scaled to the number of modes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_e3dos.errors import SpectrumError
from ase_e3dos.spectrum.grid import Array, FrequencyGrid

Float32Array = NDArray[np.float32]
Real = TypeVar("Real", np.float32, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Densities:
    """Densities of one crystal that integrate to its modes: what a spectrum is made of.

    Attributes
    ----------
    total : ndarray, shape (n,)
        states/THz, as all others; read-only.
    sites : ndarray, shape (n_sites, n), or None
        They sum to the total.
    members : ndarray, shape (n_members, n), or None
        Totals by the members of an ensemble.
    std : ndarray, shape (n,), or None
        Standard deviation of the total, where it was given.
    scale : float
        What the total integrates to, over the number of modes of the cell.
    per : str
        What it is per: "cell", "atom", "formula unit" or "kilogram".
    """

    total: Array
    sites: Array | None = None
    members: Array | None = None
    std: Array | None = None
    scale: float = 1.0
    per: str = "cell"

    @classmethod
    def of(
        cls,
        grid: FrequencyGrid,
        density: ArrayLike | None,
        site_density: ArrayLike | None,
        members: ArrayLike | None,
        std: ArrayLike | None,
        n_sites: int,
        name: str,
    ) -> Densities:
        """Check densities in any unit and scale them to the modes of the cell.

        Parameters
        ----------
        grid : FrequencyGrid
        density : array_like, shape (n,) or (n_sites, n), or None
        site_density : array_like, shape (n_sites, n), or None
            One of the two at least.
        members : array_like, shape (n_members, n), or None
        std : array_like, shape (n,), or None
            In the unit of `density`.
        n_sites : int
        name : str
            Of the crystal, for messages.

        Raises
        ------
        SpectrumError
            If a shape, sign or value is wrong, or the two densities differ.
        """
        total, sites, factor = _normalised_density(grid, density, site_density, n_sites, name)
        if members is not None:
            members = normalised_rows(grid, members, 3.0 * n_sites, f"a member's density of {name}")
        if std is not None:
            std = np.asarray(std, dtype=np.float64) * factor
            if std.shape != total.shape or not np.isfinite(std).all():
                raise SpectrumError(
                    f"density_std of {name} has shape {std.shape} and needs finite "
                    f"values of shape {total.shape}: one for each point of the grid."
                )
            std.flags.writeable = False
        return cls(total, sites, members, std)

    def scaled(self, scale: float, per: str) -> Densities:
        """The same densities per something else, of `scale` times the modes of the cell."""
        factor = scale / self.scale
        total, *others = (_scaled(array, factor) for array in self._arrays)
        assert total is not None
        sites, members, std = others
        return Densities(total, sites, members, std, scale, per)

    def with_digits(self, *stored: ArrayLike | None) -> Densities:
        """Values that were stored, where scaling changed no more than their last digits.

        Parameters
        ----------
        *stored : array_like or None
            Total, of the sites, of the members, and the standard deviation.
        """
        pairs = zip(self._arrays, stored, strict=True)
        total, *others = (_with_digits(ours, given) for ours, given in pairs)
        assert total is not None
        sites, members, std = others
        return Densities(total, sites, members, std, self.scale, self.per)

    @property
    def _arrays(self) -> tuple[Array | None, ...]:
        return self.total, self.sites, self.members, self.std


def _scaled(array: Array | None, factor: float) -> Array | None:
    if array is None:
        return None
    scaled = array * factor
    scaled.flags.writeable = False
    return scaled


def _with_digits(ours: Array | None, given: ArrayLike | None) -> Array | None:
    if ours is None or given is None:
        return ours
    theirs = np.array(given, dtype=np.float64)
    if theirs.shape != ours.shape or not np.allclose(theirs, ours, rtol=1e-9, atol=1e-300):
        return ours
    theirs.flags.writeable = False
    return theirs


def _normalised_density(
    grid: FrequencyGrid,
    density: ArrayLike | None,
    site_density: ArrayLike | None,
    n_sites: int,
    name: str,
) -> tuple[Array, Array | None, float]:
    """Total and site densities that integrate to 3 n_sites and to 3, and the total's factor."""
    if site_density is None and np.ndim(density) == 2:  # type: ignore[arg-type]
        density, site_density = None, density
    sites: Array | None = None
    if site_density is not None:
        raw = np.asarray(site_density, dtype=np.float64)
        if raw.shape != (n_sites, len(grid)):
            raise SpectrumError(
                f"The site densities of {name} have shape {raw.shape}; its {n_sites} sites on a "
                f"grid of {len(grid)} points need ({n_sites}, {len(grid)})."
            )
        sites = normalised_rows(grid, raw, 3.0, f"a site's density of {name}")
        total = sites.sum(axis=0)
        total *= 3 * n_sites / (total @ grid.trapezoid)
        total.flags.writeable = False
        if density is None:
            return total, sites, 3 * n_sites / float(raw.sum(axis=0) @ grid.trapezoid)
    if density is None:
        raise SpectrumError(f"No density was given for {name}: give density or site_density.")
    raw = np.asarray(density, dtype=np.float64)
    if raw.shape != (len(grid),):
        raise SpectrumError(
            f"The density of {name} has shape {raw.shape}; its grid has {len(grid)} points."
        )
    scaled = normalised_rows(grid, raw[None], 3.0 * n_sites, f"the density of {name}")[0]
    factor = 3 * n_sites / float(raw @ grid.trapezoid)
    if sites is None:
        return scaled, None, factor
    if np.abs(total - scaled).max() > 0.01 * scaled.max():
        raise SpectrumError(
            f"The site densities of {name} do not add up to its density. Give one of the two."
        )
    return total, sites, factor


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NetworkDensities:
    """Densities of one crystal as networks say them; scaled to `Densities` when asked for.

    The float32 values of the networks take half the memory of what is made of them, and most of
    it is never looked at.

    Parameters
    ----------
    grid : FrequencyGrid
    n_sites : int
        Of the crystal.
    said_total : ndarray of float32, shape (n,), or None
        In any unit, as all of these; None where there are sites.
    said_sites : ndarray of float32, shape (n_sites, n), or None
    said_members : ndarray of float32, shape (n_members, n), or None
    scale, per
        As for `Densities`.
    """

    grid: FrequencyGrid
    n_sites: int
    said_total: Float32Array | None
    said_sites: Float32Array | None
    said_members: Float32Array | None
    scale: float = 1.0
    per: str = "cell"
    _made: dict[str, Array] = field(default_factory=dict, init=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # What was made of the networks' values is not carried along.
        said = (self.said_total, self.said_sites, self.said_members)
        return type(self), (self.grid, self.n_sites, *said, self.scale, self.per)

    @property
    def std(self) -> None:
        """None: the deviation is that of the members."""
        return None

    @property
    def total(self) -> Array:
        """Total density in states/THz, shape (n,): the sum of the sites where there are such."""
        if "total" not in self._made:
            total, sites = self.said_total, self.said_sites
            if sites is None:
                assert total is not None
                found = total.astype(np.float64)
            else:
                found = (3.0 / (sites @ self.grid.trapezoid)) @ sites
            found *= 3.0 * self.n_sites * self.scale / float(found @ self.grid.trapezoid)
            self._made["total"] = _frozen(found)
        return self._made["total"]

    @property
    def sites(self) -> Array | None:
        """Densities of the sites in states/THz, shape (n_sites, n), or None."""
        return self._rows("sites", self.said_sites, 3.0)

    @property
    def members(self) -> Array | None:
        """Totals by the members in states/THz, shape (n_members, n), or None."""
        return self._rows("members", self.said_members, 3.0 * self.n_sites)

    def scaled(self, scale: float, per: str) -> NetworkDensities:
        """As `Densities.scaled`; nothing is worked out before it is asked for."""
        return replace(self, scale=scale, per=per)

    def _rows(self, name: str, rows: Float32Array | None, modes: float) -> Array | None:
        if rows is None:
            return None
        if name not in self._made:
            found = rows.astype(np.float64)
            found *= (modes * self.scale / (found @ self.grid.trapezoid))[:, None]
            self._made[name] = _frozen(found)
        return self._made[name]


def network_densities(
    grid: FrequencyGrid,
    n_sites: ArrayLike,
    total: Float32Array,
    sites: Float32Array | None,
    members: Float32Array | None,
) -> list[NetworkDensities]:
    """What networks say of a batch, checked together and taken apart by crystals.

    Parameters
    ----------
    grid : FrequencyGrid
    n_sites : array_like of int, shape (n_crystals,)
    total : ndarray of float32, shape (n_crystals, n)
        Used where there are no `sites`.
    sites : ndarray of float32, shape (sum of n_sites, n), or None
    members : ndarray of float32, shape (n_members, n_crystals, n), or None

    Returns
    -------
    list of NetworkDensities
        For each crystal, independent of the others.

    Raises
    ------
    SpectrumError
        If a value of any of the crystals is wrong.
    """
    if sites is None:
        _checked_totals(grid, total, "a density")
    else:
        _checked_totals(grid, sites, "a site's density")
    if members is not None:
        _checked_totals(grid, members.reshape(-1, members.shape[-1]), "a member's density")
    found, start = [], 0
    for k, size in enumerate(np.asarray(n_sites).tolist()):
        own_total = _frozen(total[k].copy()) if sites is None else None
        own_sites = None if sites is None else _frozen(sites[start : start + size].copy())
        own_members = None if members is None else _frozen(members[:, k].copy())
        found.append(NetworkDensities(grid, size, own_total, own_sites, own_members))
        start += size
    return found


def _frozen(values: NDArray[Real]) -> NDArray[Real]:
    values.flags.writeable = False
    return values


def shares_of_sites(grid: FrequencyGrid, sites: ArrayLike, first_site: ArrayLike) -> Array:
    """Shares of the modes in each bin for whole crystals, as `NetworkDensities` adds up sites.

    Parameters
    ----------
    grid : FrequencyGrid
    sites : array_like, shape (n_sites in all, n)
        Densities in any unit; each site counts as three modes.
    first_site : array_like of int, shape (n_crystals,)

    Returns
    -------
    ndarray, shape (n_crystals, n)
        In the precision of `sites`; not normalised.
    """
    values = np.asarray(sites)
    totals = values @ grid.trapezoid.astype(values.dtype)
    return np.asarray(np.add.reduceat(values / totals[:, None], np.asarray(first_site), axis=0))


def normalised_rows(grid: FrequencyGrid, rows: ArrayLike, modes: float | Array, what: str) -> Array:
    """Non-negative densities (m, n), each scaled to its `modes` over the frequencies in THz.

    Parameters
    ----------
    grid : FrequencyGrid
    rows : array_like, shape (m, n)
        Densities in any unit.
    modes : float or array_like, shape (m,)
        What each is to integrate to.
    what : str
        Their name in messages.

    Returns
    -------
    ndarray, shape (m, n)
        states/THz.

    Raises
    ------
    SpectrumError
        If the shape does not fit, or a row is negative, not finite or zero.
    """
    y = np.asarray(rows, dtype=np.float64)
    return _frozen(y * (modes / _checked_totals(grid, y, what))[:, None])


def _checked_totals(grid: FrequencyGrid, rows: NDArray[Real], what: str) -> NDArray[Real]:
    """Integrals of densities (m, n), in their precision; see `normalised_rows` for the errors."""
    if rows.ndim != 2 or rows.shape[1] != len(grid):
        raise SpectrumError(
            f"The densities ({what}) have shape {rows.shape} and need one row each with the "
            f"{len(grid)} points of the grid."
        )
    totals = np.asarray(rows @ grid.trapezoid.astype(rows.dtype, copy=False))
    if not np.isfinite(totals).all():
        raise SpectrumError(f"{what[0].upper()}{what[1:]} is not finite: the network diverged.")
    if rows.size and rows.min() < 0:
        raise SpectrumError(
            f"{what[0].upper()}{what[1:]} is negative somewhere (down to {rows.min():g}). "
            "Clip it at zero first."
        )
    if not (totals > 0).all():
        raise SpectrumError(f"{what[0].upper()}{what[1:]} is zero everywhere on its grid.")
    return totals
