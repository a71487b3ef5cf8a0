"""What a training run is made of: a validated configuration, and the presets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from reprlib import repr as short
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from ase_e3dos.errors import TrainingError
from ase_e3dos.structures.json_text import shallow_recursion
from ase_e3dos.structures.paths import is_file


class DataConfig(BaseModel):
    """One Parquet file of labelled crystals and the part it plays."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    path: str = Field(description="file name; relative to --data-dir where not absolute")
    append: str | None = Field(
        None, description="JSON file of one more crystal with a sampled spectrum, for training"
    )
    split: str | None = Field("train", description="entries to use; null for all of the file")
    source: str | None = Field(
        None, description="data source that its spectra speak for; null for what the file says"
    )
    largest: int | None = Field(None, ge=1, description="skip crystals of more sites than this")
    per_batch: int = Field(16, ge=1, description="crystals of this file in each batch")
    positions_noise: float | None = Field(
        None, ge=0, description="random displacement in Å of these; null for that of the run"
    )
    leave_out_petretto_valid: bool = Field(
        True, description="skip entries marked in_petretto_valid, the DFPT validation formulas"
    )
    leave_out_fold: tuple[int, int] | None = Field(
        None, description="(k, n): skip fold k of n, for cross-validation"
    )
    leave_out_formulas: float = Field(
        0.0, ge=0, lt=1, description="share of the formulas to keep out, by a fixed seed"
    )
    with_elements: list[str] = Field(
        default_factory=list, description="use only crystals that contain one of these elements"
    )
    without_elements: list[str] = Field(
        default_factory=list, description="skip crystals that contain one of these elements"
    )
    limit: int | None = Field(
        None, ge=1, description="use this many of the crystals that remain, by a fixed seed"
    )


class TrainingConfig(BaseModel):
    """A training run.

    Raises
    ------
    pydantic.ValidationError
        A field is unknown or out of range; `read_config` turns it into a `TrainingError`.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    network: Literal["paper", "site"]
    settings: dict[str, Any] = Field(default_factory=dict, description="sizes of the network")
    encoder: str = "mass_one_hot"
    data: list[DataConfig] = Field(min_length=1)
    validation: list[DataConfig] = Field(default_factory=list)
    grid: Literal["paper", "imaginary", "default"]
    epochs: int = Field(ge=1)
    steps_per_epoch: int | None = Field(
        None, ge=1, description="batches an epoch; by default one pass over the first file"
    )
    learning_rate: float = Field(gt=0)
    schedule: Literal["exponential", "one-cycle"] = "one-cycle"
    decay: float = Field(0.96, description="factor an epoch of the exponential schedule")
    weight_decay: float = Field(0.05, ge=0)
    weight_average: float = Field(0.0, ge=0, lt=1, description="decay of the averaged weights")
    clip: float = Field(10.0, gt=0, description="largest norm of a gradient")
    patience: int | None = Field(
        None,
        ge=1,
        description="stop after so many epochs without a smaller MSE on the first validation file, "
        "and keep the best epoch; without validation data nothing stops early",
    )
    loss: dict[str, float] = Field(default_factory=dict)
    positions_noise: float = Field(0.0, ge=0, description="random displacement in Å")
    precision: Literal["float32", "mixed"] = Field(
        "float32",
        description="mixed: layers of a site network in bfloat16 where a CUDA device runs them; "
        "edge functions, losses, weights, optimiser and validation stay in float32",
    )
    start_from: str | None = Field(None, description="weights file or model to start from")
    seed: int = Field(0, ge=0)

    @field_validator("settings")
    @classmethod
    def _known_settings(cls, settings: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        from ase_e3dos.network.paper import PaperSettings
        from ase_e3dos.network.site_trunk import SiteSettings

        kind = info.data.get("network")
        if kind is None:  # an error of its own
            return settings
        sizes = PaperSettings if kind == "paper" else SiteSettings
        known = {f.name: f.default for f in fields(sizes)}
        for name, value in settings.items():
            if name not in known:
                raise ValueError(f"the {kind} network has no {_guess(name, list(known))}")
            whole = isinstance(known[name], int)
            number = isinstance(value, int if whole else (int, float))
            if not number or isinstance(value, bool) or not 0 <= value < math.inf:
                wanted = "a whole number" if whole else "a number"
                raise ValueError(f"{name} is {wanted} from 0 on, not {short(value)}")
        return settings

    @field_validator("loss")
    @classmethod
    def _known_terms(cls, loss: dict[str, float]) -> dict[str, float]:
        from ase_e3dos.training.loss import LossWeights

        known = [f.name for f in fields(LossWeights)]
        unknown = sorted(set(loss) - set(known))
        if unknown:
            raise ValueError(f"no term {', '.join(unknown)}; the terms are {', '.join(known)}")
        return loss

    def noise_by_part(self) -> list[float]:
        """Standard deviation of the random displacements in Å, for each part of the data."""
        own = [part.positions_noise for part in self.data]
        return [self.positions_noise if noise is None else noise for noise in own]


def read_config(path: str | Path, overrides: dict[str, Any] | None = None) -> TrainingConfig:
    """Read a configuration from a YAML file or a preset's name.

    Parameters
    ----------
    path : str or Path
        A YAML file, or the name of a preset that ships with the package.
    overrides : dict, optional
        Fields that replace those of the file; a path such as settings.dropout or
        data.0.per_batch reaches into one.

    Raises
    ------
    TrainingError
        The file is missing, no YAML, or a field is wrong; the message lists the fields.
    """
    return checked(TrainingConfig, overridden(read_fields(path), overrides or {}), str(path))


def read_fields(path: str | Path) -> dict[str, Any]:
    """Fields of a YAML file or of a preset, as they stand there.

    Raises
    ------
    TrainingError
        The file is missing, or no YAML.
    """
    import yaml

    file = Path(path)
    shipped = Path(__file__).parent / "presets"
    if not is_file(file):
        file = shipped / f"{path}.yaml"
    if not is_file(file):
        names = ", ".join(sorted(p.stem for p in shipped.glob("*.yaml")))
        raise TrainingError(
            f"{path}: neither a YAML file, nor a preset, nor the folder of a run with a "
            f"checkpoint; the presets are {names}."
        )
    try:
        with shallow_recursion():
            values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # a ValueError where it is not UTF-8, nested too deeply, or has a date such as 2026-02-31
        reason = " ".join(str(error).split())
        raise TrainingError(f"{file}: not valid YAML ({reason}). Mend that line.") from error
    if not isinstance(values, dict):
        raise TrainingError(f"{file}: a configuration is a mapping of fields to values.")
    return values


def overridden(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a configuration with some replaced, by their paths.

    Raises
    ------
    TrainingError
        A path leads nowhere.
    """
    result: dict[str, Any] = deepcopy(dict(values))
    # Whole fields first: --data replaces the list, --set data.0.limit reaches into the new one.
    for path, value in sorted(overrides.items(), key=lambda item: item[0].count(".")):
        *way, last = path.split(".")
        place: Any = result
        try:
            for part in way:
                place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
            place[int(last) if isinstance(place, list) else last] = value
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise TrainingError(
                f"{path}: there is no such place in the configuration. Write paths such as "
                "epochs, settings.dropout or data.0.per_batch."
            ) from error
    return result


Model = TypeVar("Model", bound=BaseModel)


def checked(model: type[Model], values: Mapping[str, Any], place: str) -> Model:
    """Values as a configuration of a kind.

    Parameters
    ----------
    model : type
        `TrainingConfig` or another pydantic model.
    values : mapping
        Its fields.
    place : str
        Where they come from, for the message.

    Raises
    ------
    TrainingError
        Fields are unknown, missing or out of range; the message lists them.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise TrainingError(f"{place}: {'; '.join(_faults(error, model))}.") from error


def _faults(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """What pydantic found, said for people who do not know pydantic."""
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"]) or "the configuration"
        kind, message = fault["type"], fault["msg"]
        if kind == "extra_forbidden":
            known = DataConfig if len(fault["loc"]) > 1 else model
            yield f"no field {_guess(place, list(known.model_fields))}"
        elif fault["loc"] == ("data",) and kind in ("missing", "too_short"):
            yield (
                "no training data are named. Give files of your own with --data FILE.parquet "
                "(`e3dos data import` and `e3dos label` make them), or list them under data in a "
                "YAML file"
            )
        elif kind == "missing":
            yield f"{place} is missing"
        elif kind == "value_error":
            yield f"{place}: {message.removeprefix('Value error, ')}"
        else:
            yield f"{place} {message.removeprefix('Input ')}, but is {short(fault['input'])}"


def _guess(name: str, known: list[str]) -> str:
    """A name that is unknown, with the one that was meant or all that there are."""
    close = get_close_matches(name.rpartition(".")[2], known, 1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
    return f"{name} ({hint})"


def differences(former: BaseModel, now: BaseModel) -> list[str]:
    """The fields in which two configurations differ, with both values."""
    old, new = (_flat(config.model_dump()) for config in (former, now))
    return [
        f"{name} is {_value(old, name)} there and {_value(new, name)} here"
        for name in {**old, **new}
        if name not in old or name not in new or old[name] != new[name]
    ]


def _value(values: dict[str, Any], name: str) -> str:
    return repr(values[name]) if name in values else "not given"


def _flat(value: Any, place: str = "") -> dict[str, Any]:
    """Nested fields by their path: data.0.per_batch."""
    if isinstance(value, dict):
        items = [(str(key), part) for key, part in value.items()]
    elif isinstance(value, list):
        items = [(str(number), part) for number, part in enumerate(value)]
    else:
        return {place: value}
    flat: dict[str, Any] = {}
    for key, part in items:
        flat |= _flat(part, f"{place}.{key}" if place else key)
    return flat


def own_data(files: Sequence[str | Path], per_batch: int = 16) -> dict[str, Any]:
    """The fields `data` and `validation` for files of one's own.

    Parameters
    ----------
    files : sequence of str or Path
        Parquet files; the model speaks for the first. Their split "train" is for training, and
        the split "valid" of those that have one for validation.
    per_batch : int, optional
        Crystals of each file in a batch; fewer where a file has fewer.

    Raises
    ------
    DataError
        A file is missing or lacks its columns.
    """
    from ase_e3dos.data.labelled_file import split_counts

    data, validation = [], []
    for file in files:
        path = str(Path(file).expanduser().resolve())
        counts = split_counts(path)
        data.append({"path": path, "per_batch": max(1, min(per_batch, counts.get("train", 1)))})
        if counts.get("valid"):
            validation.append({"path": path, "split": "valid"})
    return {"data": data, "validation": validation}
