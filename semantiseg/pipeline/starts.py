"""Starts of our own: streams that learned on a larger cohort than a run can draw, made once by a recipe and shipped.

A recipe (`starts/NAME.yaml`) is a profile with changes. `make` runs the pipeline's own stages on it in a workspace, up
to the verified questions, then the warm-up with a checkpoint; `verify` walks its last steps once more.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from semantiseg import __version__, files, measure, params
from semantiseg.data.store import VolumeStore
from semantiseg.errors import ModelError, ParameterError, StageError
from semantiseg.models.weights import Start, halves, read_start, write_start
from semantiseg.params import Parameters
from semantiseg.pipeline import runner
from semantiseg.pipeline.execution import dvc
from semantiseg.training.optimisation import Checkpoint
from semantiseg.training.pretrain import TAIL, pretrain, tail_path, validation_dice
from semantiseg.training.questions import trained_on

EVERY = 600
"""Steps between two checkpoints."""
STATE, STREAMS = Path("start/state.ckpt"), Path("start/streams")
"""In the workspace."""
TAILS = Path("benchmarks/starts")
"""In the checkout, and no part of the package: states `TAIL` steps before the end."""
SESSIONS = Path("start/sessions.jsonl")
"""In the workspace: what each call of the warm-up cost; a training that was cut off has several."""
INPUTS = {"volumes": Path("data/volumes"), "training": Path("data/bench/training.parquet")}
DATA = ("seed", "fetch", "prepare", "prompts")
"""Parameters that the cohort and its questions depend on."""
LOSS_WITHIN, DICE_WITHIN = 0.01, 0.01
"""What other hardware may change over the last steps."""


@dataclass(frozen=True)
class StartRecipe:
    """How a start is made: a shipped profile and what is changed of it, as `--set` takes it."""

    name: str
    profile: str
    settings: tuple[str, ...]

    def parameters(self) -> Parameters:
        """All numbers, checked."""
        return params.with_settings(self.profile, self.settings)


def read_recipe(name: str) -> StartRecipe:
    """The recipe of a start.

    Raises:
        ParameterError: no recipe of this name, or one with other keys.
    """
    known = recipe_names()
    if name not in known:
        raise ParameterError(f"start: expected one of {known}, got {name!r}. See `semantiseg starts list`.")
    path = params.STARTS / f"{name}.yaml"
    given = params.read_yaml(path)
    if set(given) != {"profile", "settings"}:
        raise ParameterError(f"{path}: expected the keys profile and settings, got {sorted(given)}. Correct it.")
    return StartRecipe(name, given["profile"], tuple(given["settings"]))


def recipe_names() -> list[str]:
    """Names of all recipes, made or not."""
    return sorted(path.stem for path in params.STARTS.glob("*.yaml"))


def make(name: str, folder: Path, *, project: Path) -> dict[str, Any]:
    """Make a start anew in `folder` (hours) and record it in the project; returns its card.

    A call that was cut off goes on where it stood.

    Args:
        name: of the recipe.
        folder: a workspace, made if absent.
        project: the checkout that sources are copied from; start and card go to its `semantiseg/starts`, the state
            before the last steps to its `benchmarks/starts`.

    Raises:
        ParameterError, OutputError: as `runner.create`, or the workspace of something else.
        StageError: a stage failed; its own message has been printed before.
    """
    recipe = read_recipe(name)
    _make_data(recipe, folder, project=project)
    with _session(folder, project=project):
        _walk(folder, recipe.parameters(), checkpoint=Checkpoint(folder / STATE, every=EVERY), out=folder / STREAMS)
    return record(recipe, folder, project=project)


def _make_data(recipe: StartRecipe, folder: Path, *, project: Path) -> None:
    """The recipe's cohort and its verified questions, by the stages themselves."""
    if not (folder / "params.yaml").is_file():
        runner.create(folder, project=project, profile=recipe.profile, settings=recipe.settings)
    ours, theirs = recipe.parameters(), params.load(folder / "params.yaml")
    if any(getattr(ours, key) != getattr(theirs, key) for key in DATA):
        raise ParameterError(
            f"{folder}: expected the workspace of start {recipe.name}, got other parameters. Name another folder."
        )
    if dvc("repro", "verify", root=folder).returncode:
        raise StageError(f"`dvc repro verify` in {folder}: expected success; the stage's own error stands above.")


def _walk(folder: Path, parameters: Parameters, *, checkpoint: Checkpoint, out: Path) -> tuple[pd.DataFrame, ...]:
    """The stage's own warm-up on the workspace's data, to the last step; see `pretrain`."""
    inputs = {key: folder / path for key, path in INPUTS.items()}
    return pretrain(**inputs, out=out, parameters=parameters.pretrain, seed=parameters.seed, checkpoint=checkpoint)


@contextmanager
def _session(folder: Path, *, project: Path) -> Iterator[None]:
    """Add a line to `SESSIONS`, also where the training is cut off."""
    meter = measure.Meter()
    try:
        with meter:
            yield
    finally:
        told = ("git", "-C", str(project), "describe", "--always", "--dirty", "--exclude=*")
        with contextlib.suppress(OSError):
            commit = subprocess.run(told, capture_output=True, text=True, check=False).stdout.strip()
        cost = {"seconds": round(meter.seconds), "cpu_seconds": round(meter.cpu_seconds)}
        entry = cost | {"version": __version__, "commit": commit, **measure.machine()}
        (folder / SESSIONS).parent.mkdir(parents=True, exist_ok=True)
        with (folder / SESSIONS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")


def record(recipe: StartRecipe, folder: Path, *, project: Path) -> dict[str, Any]:
    """Write a finished warm-up as weights and card; returns the card.

    Raises:
        ModelError: no finished warm-up in `folder`.
    """
    target, tail = project / "semantiseg/starts" / f"{recipe.name}.safetensors", project / TAILS / f"{recipe.name}.ckpt"
    tail.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(tail_path(folder / STATE), tail)
    state = _state(folder / STATE)
    config = json.loads((folder / STREAMS / "config.json").read_text(encoding="utf-8"))
    card: dict[str, Any] = {
        "name": recipe.name,
        "recipe": asdict(recipe),
        "parameters": recipe.parameters().model_dump(include={*DATA, "pretrain"}),
        "structures": config["structures"],
        "steps": state["step"],
        "data": {key: files.fingerprint(folder / path) for key, path in INPUTS.items()},
        "seen": _seen(folder),
        "sessions": [json.loads(line) for line in (folder / SESSIONS).read_text(encoding="utf-8").splitlines()],
        "curve": state["records"],
        "tail": {"sha256": files.fingerprint(tail), "loss": _tail_loss(_state(tail), state["records"])},
    }
    with files.complete(target, target.with_suffix(".json")) as (weights, described):
        write_start(weights, streams=state["streams"], head=state["head"])
        card |= {"sha256": files.fingerprint(weights), "bytes": weights.stat().st_size}
        full = _dice(folder, recipe, structures=config["structures"], streams=state["streams"], head=state["head"])
        half = _dice(folder, recipe, structures=config["structures"], **halves(weights))
        card["validation"] = {
            "dice": float(half["dice"].mean()),
            "dice_before_rounding": float(full["dice"].mean()),
            "by_structure": half.set_index("structure").to_dict("index"),
        }
        files.write(described, json.dumps(card, indent=1, sort_keys=True) + "\n")
    return card


def _dice(folder: Path, recipe: StartRecipe, **weights: Any) -> pd.DataFrame:
    inputs: dict[str, Any] = {key: folder / path for key, path in INPUTS.items()}
    return validation_dice(**inputs, parameters=recipe.parameters().pretrain, **weights)


def _state(path: Path) -> dict[str, Any]:
    state = Checkpoint(path, every=1).read(fingerprint=None)
    if state is None:
        raise ModelError(f"{path}: expected the state of a warm-up, got no file. Run `semantiseg starts make` again.")
    return state


def _tail_loss(before: Mapping[str, Any], curve: Sequence[Mapping[str, float]]) -> float:
    """Mean loss of the steps after the state `before`; the last row of the curve counts earlier ones too."""
    earlier = before["losses"]
    return float((curve[-1]["loss"] * (len(earlier) + TAIL) - sum(earlier)) / TAIL)


def _seen(folder: Path) -> dict[str, Any]:
    with VolumeStore(folder / INPUTS["volumes"]) as store:
        return asdict(trained_on(store, folder / INPUTS["training"]))


def verify(name: str, folder: Path | None, *, project: Path) -> list[str]:
    """Prove that a recorded start is what its card says; returns a line for each thing proved.

    Args:
        name: of the start.
        folder: a workspace, made if absent, in which to make the cohort and walk the last `TAIL` steps once more from
            the recorded state: the same bytes on the recorded hardware and libraries, elsewhere a loss within 1% and a
            Dice within 0.01. None leaves it at the checksum.
        project: the checkout that records the state before the last steps.

    Raises:
        ModelError: a checksum differs, or the walk ends elsewhere.
    """
    start = read_start(params.STARTS / f"{name}.safetensors")
    lines = [f"weights: SHA-256 {start.sha256}, as recorded"]
    if folder is None:
        return lines
    recipe, card, tail = read_recipe(name), start.card, project / TAILS / f"{name}.ckpt"
    _expect(tail, wanted=card["tail"]["sha256"], remedy="Take the file from a fresh checkout.")
    _make_data(recipe, folder, project=project)
    for key, path in INPUTS.items():
        if files.fingerprint(folder / path) != card["data"][key]:
            lines.append(f"{key}: other bytes than recorded, as other libraries or another processor make them")
    again = folder / "start/again"
    files.remove(again)
    again.mkdir(parents=True)
    shutil.copyfile(tail, again / STATE.name)
    checkpoint = Checkpoint(again / STATE.name, every=EVERY)
    _walk(folder, recipe.parameters(), checkpoint=checkpoint, out=again / "streams")
    return lines + _compared(start, _state(checkpoint.path), before=_state(tail), scratch=again / "start.safetensors")


def _expect(path: Path, *, wanted: str, remedy: str) -> None:
    found = files.fingerprint(path)
    if found != wanted:
        raise ModelError(f"{path}: expected SHA-256 {wanted}, got {found or 'no file'}. {remedy}")


def _compared(start: Start, state: Mapping[str, Any], *, before: Mapping[str, Any], scratch: Path) -> list[str]:
    write_start(scratch, streams=state["streams"], head=state["head"])
    loss, dice = _tail_loss(before, state["records"]), state["records"][-1]["dice"]
    recorded, curve = start.card["tail"]["loss"], start.card["curve"]
    if files.fingerprint(scratch) == start.sha256:
        return [f"last {TAIL} steps: the recorded bytes, loss {loss:.4f}, validation Dice {dice:.4f}"]
    told = f"loss {loss:.4f} for {recorded:.4f}, validation Dice {dice:.4f} for {curve[-1]['dice']:.4f}"
    here, there = measure.machine(), start.card["sessions"][-1]
    if all(here[key] == there[key] for key in ("cpu", "versions")):
        raise ModelError(f"start {start.name}: expected the recorded bytes on the recorded hardware, got {told}.")
    if abs(loss / recorded - 1) > LOSS_WITHIN or abs(dice - curve[-1]["dice"]) > DICE_WITHIN:
        raise ModelError(
            f"start {start.name}: expected a loss within {LOSS_WITHIN:.0%} and a Dice within {DICE_WITHIN}, got {told}."
        )
    return [f"last {TAIL} steps, on other hardware or libraries than recorded: {told}"]


def listing() -> str:
    """A line for each recipe: what was made of it, on how many patients, how good, how large."""
    lines = []
    for name in recipe_names():
        if name not in params.start_names():
            lines.append(f"{name}: not made; `semantiseg starts make {name} FOLDER`")
            continue
        card = params.start_card(name)
        made, seen = card["parameters"]["pretrain"], card["seen"]
        minutes = sum(session["seconds"] for session in card["sessions"]) / 60
        lines.append(
            f"{name}: image streams, {made['width']}, {made['image_size']} pixels; {card['steps']} steps on "
            f"{seen['patients']} patients ({', '.join(seen['origins'])}), {minutes:.0f} min; validation Dice "
            f"{card['validation']['dice']:.3f}; {card['bytes'] / 2**20:.1f} MiB"
        )
    return "\n".join(lines)
