"""The typed parameters of the pipeline: one schema for `params.yaml` and for every profile.

DVC reads `params.yaml` and records each value in `dvc.lock`; this module says which keys exist, with type and range.
A notebook's parameters are the keys of its stage's section plus the top-level scalars that `dvc.yaml` lists for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from semantiseg import document
from semantiseg.errors import ParameterError
from semantiseg.recipes import RECIPES


class Section(BaseModel):
    """A group of parameters; unknown keys stop the run, types are not coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _fits(cls, value: Any) -> Any:
        """Whole numbers end up in C, where one of more digits would overflow."""
        if isinstance(value, int) and not -(2**31) <= value < 2**31:
            raise ValueError(f"a whole number below {2**31}")
        return value


class Fetch(Section):
    """Where the images come from."""

    source: Literal["phantom", "folder", "official"]
    folder: str = Field(description="folder in Decathlon layout when source is 'folder', else empty")
    cases: int = Field(ge=4, le=100_000, description="phantom cases per collection")
    body_scale: float = Field(gt=0.2, le=1.0, description="linear scale of the phantom body against an adult")


class Prepare(Section):
    """How volumes are brought to one grid and split by patient."""

    spacing_mm: float = Field(gt=0, description="isotropic voxel edge in mm")
    test_share: float = Field(gt=0, lt=1, description="share of a collection's patients kept for test")
    validation_share: float = Field(gt=0, lt=1, description="share of a collection's patients kept for validation")
    mapping: str = Field(
        description="YAML file 'label name: ontology key' for labels the ontology does not know, or empty"
    )
    patient_pattern: str = Field(
        description="regular expression that matches the patient at the start of a case's name, or empty"
    )
    patient_table: str = Field(description="CSV file with the columns case and patient, or empty")
    folds: int = Field(ge=0, description="folds of a cross-validation over patients; 0 splits by the shares")
    fold: int = Field(ge=0, description="the fold that is tested, counted from 0")
    intensity: Literal["", "HU", "HU+1024", "rescaled", "z-scored"] = Field(
        description="scale of users' CT; empty recognises it from the data"
    )


class Prompts(Section):
    """Which volumes are asked about, and what is asked of each."""

    volumes_drawn: int = Field(ge=0, description="channel-volumes that the benchmark is drawn from, 0 for all present")
    volumes_per_task: int = Field(ge=0, description="most channel-volumes of a collection's task, 0 for no cap")
    minimum_pixels: int = Field(ge=1, description="smallest target on the asked slice, in pixels of the prepared grid")
    slices_per_volume: int = Field(ge=1, description="axial slices of a training volume that are asked about")
    texts_per_question: int = Field(ge=1, description="surface forms drawn for each training question")


class Encode(Section):
    """The frozen text encoder."""

    text_encoder: Literal["minilm", "biomedclip"] = Field(description="biomedclip: weights in weights/biomedclip")


class Pretrain(Section):
    """The text-free warm-up of the image streams, which all trained models start from."""

    image_size: int = Field(ge=32, multiple_of=32, description="rows and columns of the network's input, in pixels")
    width: Literal["small", "small_pixels", "small_semantic", "tiny", "paper", "paper_tiny"] = Field(
        description="preset of encoder sizes in models/registry.py; the last two start from published weights"
    )
    steps: int = Field(ge=1, description="optimiser steps")
    images_per_step: int = Field(ge=1)
    learning_rate: float = Field(gt=0, description="peak of the cosine schedule, AdamW")
    weight_decay: float = Field(ge=0)
    augmentation: float = Field(ge=0, le=1, description="probability of elastic or grid distortion")
    pretrain_threads: int = Field(ge=1, description="as `threads`, but for this stage, which has no second lane")


class Train(Section):
    """One trained model; all trained models share these numbers."""

    steps: int = Field(ge=1, description="optimiser steps")
    images_per_step: int = Field(ge=1)
    prompts_per_image: int = Field(ge=1)
    learning_rate: float = Field(gt=0, description="peak of the cosine schedule, AdamW")
    weight_decay: float = Field(ge=0)
    dice_weight: float = Field(ge=0, description="lambda_1 of the training objective")
    location_weight: float = Field(ge=0, description="of the same loss on the located region of the subject")
    reading_weight: float = Field(ge=0, description="of telling the program's words from the sentence")
    dhn_weight: float = Field(ge=0, description="lambda_2 of the training objective")
    dhn_gamma: float = Field(ge=0, description="gamma of Eq. 4")
    dhn_negatives: bool = Field(description="also weigh false positives (Eq. 4 as printed never does)")
    augmentation: float = Field(ge=0, le=1, description="probability of elastic or grid distortion of a training slice")


class Evaluate(Section):
    """Where models answer, and how answers are scored."""

    nsd_tolerance_mm: float = Field(gt=0, description="tolerance of the normalised surface Dice in mm")
    accelerator: Literal["cpu", "cuda"] = Field(description="where models answer; the last digits depend on it")


class Table1(Section):
    """How scores are summarised."""

    resamples: int = Field(ge=1, description="bootstrap resamples over patients")


class Parameters(Section):
    """The whole of `params.yaml`."""

    profile: Literal["demo", "smoke", "own", "paper"]
    seed: int = Field(ge=0)
    threads: int = Field(ge=1, description="threads of PyTorch; part of the result, since sums depend on their order")
    models: list[str] = Field(min_length=1)
    fetch: Fetch
    prepare: Prepare
    prompts: Prompts
    encode: Encode
    pretrain: Pretrain
    train: Train
    evaluate: Evaluate
    table1: Table1

    @field_validator("models")
    @classmethod
    def _known_models(cls, models: list[str]) -> list[str]:
        unknown = sorted(set(models) - set(RECIPES))
        if unknown:
            raise ValueError(f"unknown models {unknown}; known are {list(RECIPES)}")
        if len(set(models)) != len(models):
            raise ValueError("a model is listed twice")
        return models


def check(values: Mapping[str, Any], *, origin: str) -> Parameters:
    """Validate a nested mapping of parameters.

    Raises:
        ParameterError: names `origin`, every wrong key and what was expected of it.
    """
    try:
        return Parameters.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'top level'}: {item['msg']} (got {item.get('input')!r})"
            for item in error.errors()
        )
        raise ParameterError(
            f"{origin}: expected the keys and types of semantiseg/params.py, got {problems}. "
            f"Correct {origin} or start again from a profile (`semantiseg profile demo`)."
        ) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML 1.2 file (as DVC does: `1e-4` is a number, `on` is a word)."""
    values = document.values(path)
    if not isinstance(values, dict):
        raise ParameterError(
            f"{path}: expected a mapping of parameters, got {type(values).__name__}. Start again from a profile."
        )
    return values


def load(path: Path) -> Parameters:
    """Read and validate `params.yaml`."""
    return check(read_yaml(path), origin=str(path))


def profile_names() -> list[str]:
    """Names of the profiles shipped with the package."""
    return sorted(
        item.name.removesuffix(".yaml")
        for item in resources.files("semantiseg.profiles").iterdir()
        if item.name.endswith(".yaml")
    )


def profile_text(name: str) -> str:
    """The commented YAML of a shipped profile, ready to be written as `params.yaml`."""
    if name not in profile_names():
        raise ParameterError(f"profile: expected one of {profile_names()}, got {name!r}. Choose one of these.")
    return resources.files("semantiseg.profiles").joinpath(f"{name}.yaml").read_text(encoding="utf-8")


def with_settings(profile: str, settings: Sequence[str]) -> Parameters:
    """A shipped profile with changes such as `train.steps=50`, checked.

    Raises:
        ParameterError: an unknown profile or key, or a wrong type.
    """
    return check(changed_profile(profile, settings), origin=f"profile {profile} with {list(settings)}")


def changed_profile(profile: str, settings: Sequence[str]) -> Any:
    """The commented YAML document of a shipped profile, changed but not checked.

    Raises:
        ParameterError: an unknown profile or key, or no YAML.
    """
    parameters = document.parse_document(profile_text(profile))
    for setting in settings:
        _set(parameters, setting)
    return parameters


def _set(parameters: Any, setting: str) -> None:
    path, equals, text = setting.partition("=")
    *sections, last = path.split(".")
    target = parameters
    for section in sections:
        target = target.get(section) if isinstance(target, dict) else None
    if not equals or not isinstance(target, dict) or last not in target:
        raise ParameterError(
            f"set: expected an existing parameter such as train.steps=50, got {setting!r}. See params.yaml."
        )
    try:
        target[last] = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        raise ParameterError(
            f"set: expected a YAML value after '=', got {setting!r}. Quote text that holds ':' or '['."
        ) from None
