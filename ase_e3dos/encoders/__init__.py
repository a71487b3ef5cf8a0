"""Encoders: the species on the sites of a crystal as scalar node features for a network."""

from __future__ import annotations

from ase_e3dos.encoders.alloy_multi_hot import AlloyMultiHot
from ase_e3dos.encoders.contract import Encoder, encode_batch
from ase_e3dos.encoders.mass_one_hot import MassOneHot

__all__ = ["AlloyMultiHot", "Encoder", "MassOneHot", "encode_batch"]
