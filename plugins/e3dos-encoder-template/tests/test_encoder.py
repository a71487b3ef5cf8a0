from __future__ import annotations

from importlib.metadata import entry_points

import e3dos_encoder_template
import pytest

from ase_e3dos.plugins import PluginRegistry, get_registry
from ase_e3dos.testing import check_encoder


def test_keeps_the_contract():
    (spec,) = e3dos_encoder_template.ase_e3dos_encoders()
    check_encoder(spec)


def test_is_found_by_name():
    registry = PluginRegistry(plugins=[])
    registry.register(e3dos_encoder_template)
    assert registry.encoder("fraction_multi_hot").n_features == 118


def test_is_found_once_installed():
    if not entry_points(group="ase_e3dos", name="encoder_template"):
        pytest.skip("the package is not installed (pip install it from its folder)")
    assert get_registry().encoder("fraction_multi_hot").version == 1
