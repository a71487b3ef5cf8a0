"""The registry with real distributions on a path: good ones, broken ones, rivals."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from importlib.metadata import distributions
from types import SimpleNamespace

import pytest

import ase_e3dos
from ase_e3dos.encoders import MassOneHot
from ase_e3dos.errors import (
    EncoderError,
    PluginError,
    PluginWarning,
    UnknownModelError,
    WeightsError,
)
from ase_e3dos.plugins import EncoderSpec, ModelSpec, PluginRegistry, get_registry, hookimpl

GOOD = """
from ase_e3dos.encoders import AlloyMultiHot
from ase_e3dos.plugins import EncoderSpec, ModelSpec, hookimpl

class Mine(AlloyMultiHot):
    name = "mine"

@hookimpl
def ase_e3dos_encoders():
    yield EncoderSpec(name="mine", factory=Mine, accepts_mixed=True)

@hookimpl
def ase_e3dos_models():
    yield ModelSpec(name="mine", weights="nowhere.safetensors", encoder="mine")
"""
HEAD = "from ase_e3dos.plugins import EncoderSpec, ModelSpec, hookimpl\n"
BROKEN = {
    "import": ("import a_package_that_is_not_there", "ModuleNotFoundError"),
    "syntax": ("def", "SyntaxError"),
    "exit": ("raise SystemExit(1)", "SystemExit"),
    "panic": ("raise BaseException('first line\\n second')", "BaseException: first line second"),
    "nothing": ("x = 1", "implements no hook"),
    "hook": (HEAD + "@hookimpl\ndef ase_e3dos_bands(): return []", "hook that does not exist"),
    "argument": (HEAD + "@hookimpl\ndef ase_e3dos_models(x): return []", "does not fit the hooks"),
    "raises": (HEAD + "@hookimpl\ndef ase_e3dos_models():\n    yield 1 / 0", "ZeroDivisionError"),
    "type": (HEAD + "@hookimpl\ndef ase_e3dos_models(): return ['default']", "ModelSpec objects"),
    "api": (
        HEAD + "@hookimpl\ndef ase_e3dos_models(): "
        "return [ModelSpec(name='m', weights='w', api_version=2)]",
        "version 2 of the plug-in API",
    ),
    "one": (
        HEAD + "@hookimpl\ndef ase_e3dos_encoders(): return EncoderSpec(name='e', factory=dict)",
        "not iterable",
    ),
    "name": (
        HEAD + "@hookimpl\ndef ase_e3dos_models(): return [ModelSpec(name=3, weights='w')]",
        "name has to be a name without space around it, not 3",
    ),
    "serves": (
        HEAD + "@hookimpl\ndef ase_e3dos_encoders(): "
        "return [EncoderSpec(name='e', factory=dict, serves='mass_one_hot')]",
        "serves has to be a tuple of names",
    ),
    "mixed": (
        HEAD + "@hookimpl\ndef ase_e3dos_encoders(): "
        "return [EncoderSpec(name='e', factory=dict, accepts_mixed='yes')]",
        "accepts_mixed has to be True or False, not 'yes'",
    ),
    "version": (
        HEAD + "@hookimpl\ndef ase_e3dos_encoders(): "
        "return [EncoderSpec(name='e', factory=dict, version=True)]",
        "version has to be an integer from 1 on, not True",
    ),
    "space": (
        HEAD + "@hookimpl\ndef ase_e3dos_models(): return [ModelSpec(name='m ', weights='w')]",
        "name has to be a name without space around it, not 'm '",
    ),
    "encoder": (
        HEAD + "@hookimpl\ndef ase_e3dos_models(): "
        "return [ModelSpec(name='m', weights='w', encoder=3)]",
        "encoder has to be a name or None, not 3",
    ),
    "source": (
        HEAD + "@hookimpl\ndef ase_e3dos_models(): "
        "return [ModelSpec(name='m', weights='w', source=7)]",
        "source has to be a name or None, not 7",
    ),
    "twice": (
        HEAD + "@hookimpl\ndef ase_e3dos_models(): return 2 * [ModelSpec(name='m', weights='w')]",
        "but dist-twice offers one of this name",
    ),
    "model": (
        HEAD + "@hookimpl\ndef ase_e3dos_models(): return [ModelSpec(name='paper', weights='w')]",
        "offers the model 'paper', but ase-e3dos offers one of this name",
    ),
    "rival": (
        HEAD + "@hookimpl\ndef ase_e3dos_encoders(): "
        "return [EncoderSpec(name='mass_one_hot', factory=dict)]",
        "but ase-e3dos offers one of this name",
    ),
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install distributions with one plug-in each in a folder; return their entry points."""
    monkeypatch.syspath_prepend(tmp_path)

    def installed(**sources):
        for name, source in sources.items():
            (tmp_path / f"plugin_{name}.py").write_text(source)
            info = tmp_path / f"dist_{name}-1.2.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: 1.2\n"
            )
            (info / "entry_points.txt").write_text(f"[ase_e3dos]\n{name} = plugin_{name}\n")
        found = [
            point for dist in distributions(path=[str(tmp_path)]) for point in dist.entry_points
        ]
        assert len(found) == len(sources)
        return found

    yield installed
    for module in [m for m in sys.modules if m.startswith("plugin_")]:
        del sys.modules[module]


def test_plugin_of_another_package_is_found(install):
    registry = PluginRegistry(plugins=install(good=GOOD), environ={})
    assert registry.encoder("mine").accepts_mixed
    assert registry.encoder("mine") is registry.encoder("mine")
    assert registry.model("mine").encoder == "mine"
    rows = {row.name: row for row in registry.status()}
    assert (rows["good"].distribution, rows["good"].version) == ("dist-good", "1.2")
    assert (rows["good"].encoders, rows["good"].models) == (("mine",), ("mine",))
    assert rows["builtin"].status == "loaded"


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_plugin_is_reported_once_and_skipped(install, kind):
    source, reason = BROKEN[kind]
    registry = PluginRegistry(plugins=install(good=GOOD, **{kind: source}), environ={})
    with pytest.warns(PluginWarning, match=f"of dist-{kind} 1.2 is skipped") as caught:
        registry.encoders()
    assert len(caught) == 1
    assert reason in str(caught[0].message)
    assert registry.encoder("mine")
    assert registry.encoder("mass_one_hot")
    (row,) = [row for row in registry.status() if row.name == kind]
    assert row.status == "skipped"
    assert reason in row.error


def test_of_two_with_one_name_the_second_is_refused_with_both_named(install):
    registry = PluginRegistry(plugins=install(one=GOOD, two=GOOD), environ={})
    with pytest.warns(PluginWarning, match=r"dist-two offers the encoder 'mine', but dist-one"):
        registry.models()
    assert [row.status for row in registry.status()] == ["loaded", "loaded", "skipped"]


@pytest.mark.parametrize(
    ("environ", "enabled"),
    [
        ({"E3DOS_PLUGINS_DISABLED": "import, "}, ["good"]),
        ({"E3DOS_PLUGINS_DISABLED": "Dist_Good,dist-import"}, []),
        ({"E3DOS_PLUGINS_ONLY": "good"}, ["good"]),
        ({"E3DOS_PLUGINS_ONLY": "dist_good"}, ["good"]),
        ({"E3DOS_PLUGINS_ONLY": "builtin"}, []),
        ({"E3DOS_PLUGINS_ONLY": "good", "E3DOS_PLUGINS_DISABLED": "good"}, []),
    ],
)
@pytest.mark.filterwarnings("error")
def test_disabled_plugins_are_not_even_imported(install, environ, enabled):
    points = install(good=GOOD, **{"import": BROKEN["import"][0]})
    registry = PluginRegistry(plugins=points, environ=environ)
    assert [r.name for r in registry.status() if r.status == "loaded"] == ["builtin", *enabled]
    assert ("plugin_good" in sys.modules) == bool(enabled)
    assert "mass_one_hot" in registry.encoders()


@pytest.mark.parametrize("variable", ["E3DOS_PLUGINS_DISABLED", "E3DOS_PLUGINS_ONLY"])
def test_a_name_that_switches_nothing_is_pointed_out(install, variable):
    registry = PluginRegistry(plugins=install(good=GOOD), environ={variable: "good,godo"})
    with pytest.warns(PluginWarning, match=f"{variable} names 'godo'.* There are: dist-good, good"):
        registry.models()


def test_threads_that_ask_while_plugins_are_loaded_get_all_of_them(install):
    """The plug-in is in the middle of its import while others ask."""
    points = install(slow="import slow_gate as g\ng.started.set(); g.go_on.wait(20)\n" + GOOD)
    gate = sys.modules["slow_gate"] = SimpleNamespace(
        started=threading.Event(), go_on=threading.Event()
    )
    registry = PluginRegistry(plugins=points, environ={})
    try:
        with ThreadPoolExecutor(4) as pool:
            first = pool.submit(registry.encoders)
            assert gate.started.wait(20)
            others = [pool.submit(registry.encoder, "mine") for _ in range(3)]
            assert not wait(others, 0.2).done  # they wait
            gate.go_on.set()
            assert "mine" in first.result(20)
            assert len({id(other.result(20)) for other in others}) == 1  # and share one encoder
    finally:
        gate.go_on.set()
        del sys.modules["slow_gate"]


def test_interrupted_loading_starts_anew(install, tmp_path):
    points = install(good=GOOD, late="raise KeyboardInterrupt")
    registry = PluginRegistry(plugins=iter(points), environ={})
    with pytest.raises(KeyboardInterrupt):
        registry.encoders()
    (tmp_path / "plugin_late.py").write_text(GOOD.replace("mine", "late") + "# changed")
    importlib.invalidate_caches()
    assert {"mine", "late", "mass_one_hot"} <= registry.encoders().keys()
    assert [row.status for row in registry.status()] == ["loaded"] * 3


def test_a_plugin_that_asks_the_registry_while_it_is_imported(install, monkeypatch):
    points = install(asks="from ase_e3dos.plugins import get_registry as r\n"
                          "assert r().encoder('mass_one_hot')\n" + GOOD)  # fmt: skip
    registry = PluginRegistry(plugins=points, environ={})
    monkeypatch.setattr("ase_e3dos.plugins.get_registry", lambda: registry)
    assert registry.encoder("mine")


def test_installed_plugins_are_found_in_a_new_process(install, tmp_path):
    install(good=GOOD, **{"import": BROKEN["import"][0]})
    code = (
        "import warnings; from ase_e3dos.plugins import get_registry\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always'); r = get_registry(); assert r.encoder('mine')\n"
        "print([str(w.message) for w in caught if 'dist-import' in str(w.message)])\n"
        "import sys; assert 'torch' not in sys.modules\n"
    )
    root = str(next(iter(ase_e3dos.__path__)) + "/..")
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), root])}
    out = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environ
    )
    assert "'import' of dist-import 1.2 is skipped" in out.stdout


class Notebook:
    @hookimpl
    def ase_e3dos_encoders(self):
        yield EncoderSpec(name="fresh", factory=type("Fresh", (MassOneHot,), {"name": "fresh"}))

    @hookimpl
    def ase_e3dos_models(self):
        yield ModelSpec(name="fresh", weights=lambda: 1 / 0)
        yield ModelSpec(name="fresher", weights="absent.safetensors")
        yield ModelSpec(name="freshest", weights=lambda: None)


def test_register_and_unregister():
    registry, plugin = PluginRegistry(plugins=[]), Notebook()
    registry.register(plugin)
    made = registry.encoder("fresh")
    assert made.name == "fresh"
    with pytest.raises(PluginError, match="Notebook"):
        registry.register(Notebook(), "second")
    registry.unregister(plugin)
    assert "fresh" not in registry.encoders()
    assert "fresh" not in registry.models()
    with pytest.raises(EncoderError):
        registry.encoder("fresh")
    registry.register(plugin)
    assert registry.encoder("fresh") is not made  # another plug-in may have the name now


def test_register_refuses_and_leaves_nothing_behind():
    registry = PluginRegistry(plugins=[])
    before = registry.status()
    for plugin, reason in [(Notebook, "is a class"), (SimpleNamespace(x=1), "implements no hook")]:
        with pytest.raises(PluginError, match=reason):
            registry.register(plugin)
    with pytest.raises(PluginError, match="was not added"):
        registry.unregister(Notebook())
    assert registry.status() == before


def test_encoder_that_is_not_what_its_spec_says():
    class Liar:
        @hookimpl
        def ase_e3dos_encoders(self):
            yield EncoderSpec(name="liar", factory=MassOneHot)
            yield EncoderSpec(name="fails", factory=lambda: 1 / 0)

    registry = PluginRegistry(plugins=[])
    registry.register(Liar())
    with pytest.raises(EncoderError, match="must agree"):
        registry.encoder("liar")
    with pytest.raises(EncoderError, match=r"Liar \(registered by hand\) could not be made"):
        registry.encoder("fails")


def test_encoder_is_made_with_the_settings_that_weights_recorded():
    class Scaled(MassOneHot):
        name = "scaled"

        def __init__(self, scale=1.0):
            self.scale = scale

        def settings(self):
            return {"scale": self.scale}

    class Scales:
        @hookimpl
        def ase_e3dos_encoders(self):
            yield EncoderSpec(name="scaled", factory=Scaled)

    registry = PluginRegistry(plugins=[])
    registry.register(Scales())
    twice = registry.encoder("scaled", {"scale": 2.0})
    assert twice.scale == 2.0
    assert registry.encoder("scaled").scale == 1.0
    assert registry.encoder("scaled", {"scale": 2.0}) is twice
    with pytest.raises(EncoderError, match="unexpected keyword"):
        registry.encoder("scaled", {"size": 2.0})


def test_unknown_names_get_what_is_there_and_what_is_close(install):
    registry = PluginRegistry(plugins=install(good=GOOD), environ={})
    with pytest.raises(UnknownModelError, match=r"'mime'. Did you mean 'mine'\? There are: .*mine"):
        registry.resolve_model("mime")
    with pytest.raises(EncoderError, match=r"Did you mean 'mass_one_hot'\?"):
        registry.encoder("mass_onehot")
    with pytest.raises(EncoderError, match=r"write model='imaginary' instead"):
        registry.encoder("imaginary")
    with pytest.raises(UnknownModelError, match="no weights file"):
        registry.resolve_model("absent.safetensors")


def test_model_by_the_path_of_its_weights(tmp_path):
    path = tmp_path / "my_model.safetensors"
    path.write_bytes(b"weights")
    for given in (path, str(path)):
        spec = PluginRegistry(plugins=[]).resolve_model(given)
        assert spec.name == "my_model"
        assert spec.weights_path() == path


def test_weights_that_cannot_be_had():
    registry = PluginRegistry(plugins=[])
    registry.register(Notebook())
    with pytest.raises(WeightsError, match="could not provide its weights"):
        registry.model("fresh").weights_path()
    with pytest.raises(WeightsError, match="no weights file"):
        registry.model("fresher").weights_path()
    with pytest.raises(WeightsError, match="has to return the path of its weights, not None"):
        registry.model("freshest").weights_path()


def test_the_alloy_model_says_that_it_was_trained_with_mg3bi2():
    from ase_e3dos.network.weights import read_header

    if "alloy" not in get_registry().models():
        pytest.skip("the model 'alloy' is not there")
    spec = get_registry().model("alloy")
    header = read_header(spec.weights_path())
    assert {"dfpt_petretto.parquet", "mg3bi2.json"} == header.trained_on.keys()
    assert spec.citation == header.citation
    assert "Agne" in spec.citation


def test_builtin_models_have_their_weights():
    registry = get_registry()
    assert registry is get_registry()
    for name in {"paper", "imaginary", "alloy", "default", "jarvis"} & registry.models().keys():
        spec = registry.model(name)
        assert spec.weights_path().is_file()
        assert spec.encoder in registry.encoders()
        assert spec.licence
        assert spec.citation
