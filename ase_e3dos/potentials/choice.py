"""Which calculator is meant, and what tells it from another one in files."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable
from functools import lru_cache, partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_e3dos.errors import PotentialError
from ase_e3dos.plugins import CalculatorSpec, get_registry
from ase_e3dos.structures.paths import is_file

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

CalculatorFactory = Callable[[], "Calculator"]


class _Made(threading.local):
    """Calculators of a thread (none is safe in two): loading one can take longer than using it."""

    def __init__(self) -> None:
        self.by_name: dict[tuple[str, str], Calculator] = {}
        self.by_identity: dict[str, Calculator] = {}


_MADE = _Made()


def calculator_factory(name: str, device: str = "cpu") -> CalculatorFactory:
    """How to make a calculator, by its name.

    Parameters
    ----------
    name : str
        Of a registered one (`e3dos plugins` lists them), ``NAME=PATH`` for one with weights of
        your own, or ``package.module:function``, which is called without arguments and looked for
        in the working directory too.
    device : str, optional
        "cpu", "cuda", "cuda:1", or "auto" for a GPU if there is one; of effect for registered
        ones.

    Returns
    -------
    callable
        Without arguments; it returns a new calculator.

    Raises
    ------
    PotentialError
        There is no such thing; for a registered one whose package or weights are missing, what
        to install or which file goes where.
    """
    known, equals, weights = name.partition("=")
    registry = get_registry()
    if known in registry.calculators() or equals or ":" not in name:
        spec = registry.calculator(known)
        return partial(spec.make, _device(spec, device), weights or None)
    module, _, attribute = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        factory = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise PotentialError(
            f"calculator {name!r}: {error}. Give a name that `e3dos plugins` lists, or "
            "package.module:function, where the function returns an ASE calculator."
        ) from error
    if not callable(factory):
        raise PotentialError(
            f"calculator {name!r} is {type(factory).__name__}: give a function that returns an ASE "
            "calculator."
        )
    made: CalculatorFactory = factory
    return made


def _device(spec: CalculatorSpec, device: str) -> str:
    """The device that is meant by "auto": a GPU, where there is one and the calculator can."""
    if device != "auto":
        return device
    import torch

    return "cuda" if "cuda" in spec.devices and torch.cuda.is_available() else "cpu"


def check_calculator(calculator: str | Calculator | CalculatorFactory, device: str = "cpu") -> None:
    """Refuse, before any work, a calculator that is not there; nothing is loaded.

    Parameters
    ----------
    calculator : str, ase.calculators.calculator.Calculator or callable
        As for `calculator_of`.
    device : str, optional
        As for `calculator_factory`.

    Raises
    ------
    PotentialError
        As for `calculator_factory`, and where a package, weights or device are missing; for
        anything but a name, where it is neither a calculator nor a function.
    """
    if not isinstance(calculator, str):
        if not callable(calculator) and not hasattr(calculator, "get_property"):
            raise _no_calculator(calculator)
        return
    factory = calculator_factory(calculator, device)
    known, _, weights = calculator.partition("=")
    spec = get_registry().calculators().get(known)
    if spec is None:
        return
    if spec.missing() or _device(spec, device).partition(":")[0] not in spec.devices:
        factory()  # its error says what to do
    spec.weights_path(weights or None)


def calculator_of(
    calculator: str | Calculator | CalculatorFactory, device: str = "cpu"
) -> Calculator:
    """An ASE calculator from its name, from a function that makes it, or as it is.

    Those made by name are kept for the next call.

    Parameters
    ----------
    calculator : str, ase.calculators.calculator.Calculator or callable
    device : str, optional
        As for `calculator_factory`.

    Returns
    -------
    ase.calculators.calculator.Calculator

    Raises
    ------
    PotentialError
        There is no such calculator, or it is not what ASE calls one.
    """
    if isinstance(calculator, str):
        key = (calculator, device)
        if key not in _MADE.by_name:
            _MADE.by_name[key] = _calculator_by(calculator_factory(calculator, device), calculator)
        return _MADE.by_name[key]
    given: Any = calculator
    if not isinstance(given, type) and hasattr(given, "get_property"):
        found: Calculator = given
        return found
    if not callable(given):
        raise _no_calculator(given)
    return _calculator_by(given, calculator_name(calculator))


def _no_calculator(given: object) -> PotentialError:
    return PotentialError(
        f"{given!r} is not a calculator: give one of ASE, its name (`e3dos plugins` lists them), "
        "or a function that returns one."
    )


def _calculator_by(factory: CalculatorFactory, name: str) -> Calculator:
    """What a function makes, where that is a calculator."""
    try:
        made = factory()
    except PotentialError:
        raise
    except Exception as error:
        raise PotentialError(
            f"calculator {name!r} could not be made ({type(error).__name__}: {error}). Look at the "
            "function that makes it, and at its weights."
        ) from error
    if isinstance(made, type) or not hasattr(made, "get_property"):
        raise PotentialError(
            f"{name} gave {type(made).__name__}, which is not an ASE calculator: return one."
        )
    return made


def kept_calculator(calculator: str | CalculatorFactory, device: str = "cpu") -> Calculator:
    """As `calculator_of`, for many crystals: what a function returns is kept, too.

    Parameters
    ----------
    calculator : str or callable
    device : str, optional
        As for `calculator_factory`.

    Returns
    -------
    ase.calculators.calculator.Calculator

    Raises
    ------
    PotentialError
        As for `calculator_of`, and where making it fails.
    """
    if isinstance(calculator, str):
        return calculator_of(calculator, device)
    key = calculator_identity(calculator)
    if key not in _MADE.by_identity:
        _MADE.by_identity[key] = calculator_of(calculator)
    return _MADE.by_identity[key]


def make_ready(calculator: str | CalculatorFactory, device: str = "cpu") -> None:
    """Make a calculator for the calculations that follow in this process.

    Parameters
    ----------
    calculator : str or callable
    device : str, optional
        As for `calculator_factory`.

    Raises
    ------
    PotentialError
        It cannot be made: weights that are missing or damaged, a package that fails.
    """
    kept_calculator(calculator, device)


def calculator_name(calculator: str | Calculator | CalculatorFactory) -> str:
    """What a calculator is called in files: its name, or module and name of function or class.

    Parameters
    ----------
    calculator : str, ase.calculators.calculator.Calculator or callable

    Returns
    -------
    str
    """
    if isinstance(calculator, str):
        known, equals, weights = calculator.partition("=")
        return f"{known}={Path(weights).name}" if equals else known
    given: Any = calculator.func if isinstance(calculator, partial) else calculator
    if not isinstance(given, type) and hasattr(given, "get_property"):
        given = type(given)
    return f"{getattr(given, '__module__', '')}:{getattr(given, '__qualname__', 'custom')}"


def calculator_identity(calculator: str | CalculatorFactory) -> str:
    """What tells a calculator from an edited one.

    Of a registered one its name, with the version of its package and a hash of its weights where
    they are a file; of any other its name, and a hash of its module's file.

    Parameters
    ----------
    calculator : str or callable
        As for `calculator_of`.

    Returns
    -------
    str
        One line.

    Raises
    ------
    PotentialError
        There is no such calculator, or nothing tells it from another one: an object of a
        calculator, a lambda, a function within a function, or arguments that are not plain values.
    """
    name = calculator_name(calculator)
    if isinstance(calculator, str):
        known, _, weights = calculator.partition("=")
        spec = get_registry().calculators().get(known)
        if spec is not None:
            if spec.missing():
                spec.make()  # its error says what to install
            path = spec.weights_path(weights or None)
            parts = [known, *(_version(m) for m in spec.requires[:1])]
            return " ".join([*parts, *([_digest(path)] if path and is_file(path) else [])])
    factory: Any = calculator_factory(calculator) if isinstance(calculator, str) else calculator
    arguments = ""
    plain = True
    if isinstance(factory, partial):
        values = (*factory.args, *factory.keywords.values())
        plain = isinstance(calculator, str) or all(
            isinstance(v, (str, int, float, bool, type(None))) for v in values
        )
        arguments = repr((factory.args, sorted(factory.keywords.items())))
        factory = factory.func
    named = isinstance(calculator, str) or "<" not in getattr(factory, "__qualname__", "<")
    if not named or not plain:
        raise PotentialError(
            f"calculator {name}: what it calculates with cannot be told from its name, so that "
            "results of another one would be taken for its own. Give the name of a registered "
            "calculator, or package.module:function."
        )
    module = sys.modules.get(factory.__module__)
    file = Path(getattr(module, "__file__", None) or "")
    source = file.read_bytes() if file.is_file() else b""
    return f"{name} {arguments} {hashlib.sha256(source).hexdigest()}"


def _version(module: str) -> str:
    try:
        return version(packages_distributions().get(module, [module])[0])
    except PackageNotFoundError:
        return "of unknown version"


@lru_cache(maxsize=32)
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
