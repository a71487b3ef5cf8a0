"""Float32 without autocast, whatever another program in the process has set PyTorch to.

And one thread in a forked child, which has none of the threads that PyTorch's pool counts on.

Potentials such as MACE call ``torch.set_default_dtype(torch.float64)``; others set a default
device, or run under ``torch.autocast``. These settings belong to them: nothing here changes them,
and none of them enters a network of this package.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["float32_on", "without_autocast"]


def _one_thread() -> None:
    """Leave the pool of threads alone: those of the parent are not there after a fork."""
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_one_thread)


class _Float32(TorchFunctionMode):
    """Gives float32 to whatever is made without a type, modules of PyTorch among it."""

    _made = frozenset({"empty", "eye", "linspace", "ones", "rand", "randn", "zeros"})

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Pass everything on, with a type where there is none."""
        kwargs = dict(kwargs or {})
        if func.__name__ in self._made and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float32
        return func(*args, **kwargs)


@contextmanager
def float32_on(device: torch.device | str) -> Iterator[None]:
    """Modules and tensors that are made within are float32 on a device, if they do not say.

    Parameters
    ----------
    device : torch.device or str
        "cpu", or "meta" for their sizes alone.

    Yields
    ------
    None
    """
    with torch.device(device), _Float32():
        yield


def without_autocast(device: torch.device) -> Any:
    """Context in which PyTorch computes in the types of the tensors on a device.

    Parameters
    ----------
    device : torch.device
        Where the tensors are.

    Returns
    -------
    context manager
    """
    if not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
