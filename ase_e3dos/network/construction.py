"""Networks from a weights file: made to its header, filled with its tensors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from ase_e3dos.errors import WeightsError
from ase_e3dos.network.combined import CombinedNetwork, CombinedSettings
from ase_e3dos.network.force_constants import ForceConstantNetwork, ForceConstantSettings
from ase_e3dos.network.paper import PaperNetwork, PaperSettings
from ase_e3dos.network.precision import float32_on
from ase_e3dos.network.site import SiteNetwork
from ase_e3dos.network.site_trunk import SiteSettings
from ase_e3dos.network.weights import WeightsHeader, load_weights


def build_network(header: WeightsHeader, number: int = 0) -> nn.Module:
    """One network of the kind and sizes that a header describes, not yet with its weights.

    Raises
    ------
    WeightsError
        The kind or a setting is unknown.
    """
    settings = header.settings_of(number)
    try:
        if header.network == "paper":
            return PaperNetwork(PaperSettings(**settings))
        if header.network == "site":
            return SiteNetwork(SiteSettings(**settings))
        if header.network == "force-constants":
            return ForceConstantNetwork(ForceConstantSettings(**settings))
        if header.network == "combined":
            return CombinedNetwork(CombinedSettings(**settings))
    except TypeError as error:
        raise WeightsError(f"the weights file has settings that do not fit: {error}") from error
    raise WeightsError(
        f"the weights file wants a network of kind {header.network!r}, which this version does "
        "not have. Update ase-e3dos."
    )


def check_shapes(network: nn.Module, state: dict[str, Any]) -> None:
    """Compare the shapes of a network's parameters with those of a state dict.

    Raises
    ------
    WeightsError
        A tensor is missing or has another shape.
    """
    for name, tensor in network.state_dict().items():
        if name not in state or state[name].shape != tensor.shape:
            given = tuple(state[name].shape) if name in state else "missing"
            raise WeightsError(
                f"the tensors of the weights file do not fit its settings: {name} should have the "
                f"shape {tuple(tensor.shape)} and is {given}. Copy or download it again."
            )


class _NoRandomNumbers(TorchFunctionMode):
    """Parameters stay as they were allocated: weights from a file take their place.

    On the meta device an initialisation would also import PyTorch's compiler, which takes longer
    than all the rest of a first prediction.
    """

    _skipped = frozenset({"normal_", "uniform_", "kaiming_uniform_"})

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Leave out the initialisations, pass on everything else."""
        kwargs = kwargs or {}
        if func.__name__ in self._skipped:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def load_networks(path: str | Path) -> tuple[WeightsHeader, list[nn.Module]]:
    """Header and networks of a weights file, on the CPU.

    Raises
    ------
    WeightsError
        The file is not sound, or its tensors do not fit its settings.
    """
    header, states = load_weights(path)
    networks: list[nn.Module] = []
    for number, state in enumerate(states):
        try:
            with float32_on("meta"), _NoRandomNumbers():  # sizes first, no memory
                sketch = build_network(header, number)
            check_shapes(sketch, state)
            with float32_on("cpu"), _NoRandomNumbers():
                network = build_network(header, number)
            network.load_state_dict(state)
        except (RuntimeError, TypeError, ValueError, LookupError, ArithmeticError) as error:
            if isinstance(error, WeightsError):
                raise
            raise WeightsError(f"{path}: the tensors do not fit the settings: {error}") from error
        networks.append(network)
    return header, networks
