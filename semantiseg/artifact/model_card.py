"""MODEL_CARD.md: the released model in the usual headings, numbers from metrics.json and the run's record."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Any

from semantiseg import __version__, markup
from semantiseg.artifact.lockfile import outputs
from semantiseg.artifact.numbers import read_metrics
from semantiseg.artifact.provenance import read_run
from semantiseg.errors import DataError
from semantiseg.params import read_yaml
from semantiseg.report import style
from semantiseg.report.table_text import interval, number, percent

TEMPLATE = Path("docs/model_card.md")
MODEL = "token"
"""The default model: the one that dvc.yaml registers under `artifacts`."""


def card(root: Path, *, model: str = MODEL) -> str:
    """The card of one trained model, from the template docs/model_card.md.

    Raises:
        DataError: the metrics hold no such model, or the template names a value that nobody fills.
    """
    metrics, parameters = read_metrics(root), read_yaml(root / "params.yaml")
    if model not in metrics["models"]:
        raise DataError(f"metrics.json: expected the model {model!r}, got {sorted(metrics['models'])}. Train it first.")
    values = _values(metrics, parameters, model=model) | _cost(root, model=model)
    text = (root / TEMPLATE).read_text(encoding="utf-8")
    try:
        return Template(text).substitute(values)
    except KeyError as error:
        raise DataError(
            f"{TEMPLATE}: expected names among {sorted(values)}, got {error}. Correct the template."
        ) from None


def _values(metrics: dict[str, Any], parameters: Any, *, model: str) -> dict[str, str]:
    found, bench = metrics["models"][model], metrics["bench"]
    return {
        "version": __version__,
        "model": model,
        "label": style.MODEL_LABELS.get(model, model),
        "origin": style.origin_name(bench["origins"]),
        "interval": metrics["interval"],
        "resamples": str(metrics["resamples"]),
        "seed": str(metrics["seed"]),
        "volumes": str(bench["volumes"]),
        "patients": str(bench["patients"]),
        "structures": ", ".join(name.replace("_", " ") for name in bench["structures"]),
        "modalities": " and ".join(bench["modalities"]),
        "test_prompts": str(found["prompts"]),
        "test_patients": str(found["patients"]),
        "image_size": str(parameters["pretrain"]["image_size"]),
        "spacing": str(parameters["prepare"]["spacing_mm"]),
        "steps": str(parameters["train"]["steps"]),
        "pretrain_steps": str(parameters["pretrain"]["steps"]),
        "text_encoder": str(parameters["encode"]["text_encoder"]),
        "results": _results(found),
        "by_structure": _breakdown(found["by"]["structure"]),
        "by_kind": _breakdown(found["by"]["kind"]),
        "by_modality": _breakdown(found["by"]["modality"]),
    }


def _estimate(entry: dict[str, Any], form: Any = number) -> str:
    return interval({"x": entry["value"], "x_low": entry["low"], "x_high": entry["high"]}, "x", form)


def _results(found: dict[str, Any]) -> str:
    rows = {
        "Dice, level 1 (a noun)": _estimate(found["core"]["l1"]),
        "Dice, level 2 (a description)": _estimate(found["core"]["l2"]),
        "Dice, level 3 (a composition)": _estimate(found["core"]["l3"]),
        "PSS = (L1 - L3) / L1": _estimate(found["core"]["pss"], lambda value: number(value, digits=3)),
        "Collapse rate, level 3": _estimate(found["collapse_rate"], percent),
        "Worst of a paraphrase group, Dice": _estimate(found["paraphrase"]["worst"]),
        "Marks something that is not there": _estimate(found["absent"]["rate"], percent),
    }
    return "\n".join(markup.markdown_table(("", "value [interval]"), rows.items()))


def _breakdown(groups: dict[str, Any]) -> str:
    rows = (
        (name.replace("_", " "), _estimate(entry), entry["prompts"], entry["patients"])
        for name, entry in sorted(groups.items())
    )
    return "\n".join(markup.markdown_table(("", "Dice [interval]", "prompts", "patients"), rows))


def _cost(root: Path, *, model: str) -> dict[str, str]:
    run, weights = read_run(root), outputs(root)[Path("data/models") / model]
    seconds = {entry["stage"]: entry["seconds"] for entry in run["stages"]}
    spent = [seconds.get(name) for name in ("pretrain", f"train@{model}")]
    minutes = "not measured in one run" if None in spent else f"{sum(filter(None, spent)) / 60:.1f} minutes"
    return {
        "md5": weights.md5,
        "size_mib": f"{weights.size / 2**20:.1f}",
        "training_time": minutes,
        "hardware": f"{run['cores']} cores, {run['cpu']}",
    }
