"""The device that networks run on, by name."""

from __future__ import annotations

import torch

from ase_e3dos.errors import DeviceError


def resolve_device(device: str) -> torch.device:
    """The torch device of a name; "auto" takes CUDA where there is one.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda" or "cuda:1".

    Returns
    -------
    torch.device

    Raises
    ------
    DeviceError
        The device is unknown or not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise DeviceError(
            f"device {device!r} is not known to PyTorch; use 'auto', 'cpu' or 'cuda'."
        ) from error
    if found.type == "cuda" and (
        not torch.cuda.is_available() or (found.index or 0) >= torch.cuda.device_count()
    ):
        raise DeviceError(
            f"device {device!r} was asked for, but PyTorch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA devices here. Use device='auto' or 'cpu', or "
            "install a CUDA build of PyTorch."
        )
    if found.type not in ("cpu", "cuda"):
        raise DeviceError(f"device {device!r} is not supported; use 'auto', 'cpu' or 'cuda'.")
    return found
