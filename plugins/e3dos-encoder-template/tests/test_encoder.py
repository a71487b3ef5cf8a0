from __future__ import annotations

import e3dos_encoder_template

from ase_e3dos.plugins import PluginRegistry
from ase_e3dos.testing import check_encoder


def test_keeps_the_contract():
    (spec,) = e3dos_encoder_template.ase_e3dos_encoders()
    check_encoder(spec)


def test_is_found_by_name():
    registry = PluginRegistry(plugins=[])
    registry.register(e3dos_encoder_template)
    assert registry.encoder("fraction_multi_hot").n_features == 118
