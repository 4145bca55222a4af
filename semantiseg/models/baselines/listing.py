"""What `semantiseg baselines` prints."""

from __future__ import annotations

from pathlib import Path

from semantiseg.models.baselines.catalogue import CATALOGUE, VARIABLE, Status, look, weights_root
from semantiseg.models.baselines.contamination import OFFICIAL
from semantiseg.models.plugins import GROUP, plugin_names


def _checksum(status: Status) -> str:
    known = CATALOGUE[status.name].sha256
    stated = f"known: {known}" if known else "none known"
    if status.sha256 is None:
        return stated if status.present is None else f"{stated}; of this file with --checksum"
    verdict = {True: "agrees", False: "DIFFERS", None: "nothing to compare"}[status.agrees]
    return f"{status.sha256} ({stated}; {verdict})"


def _one(status: Status) -> list[str]:
    card, found = status.card, CATALOGUE[status.name]
    state = f"present, {status.present}" if status.present else f"absent, looked in {status.looked} for"
    files = "" if status.present else " " + " or ".join(found.files)
    return [
        f"{status.name}: {card.label}",
        f"  weights    {state}{files}",
        f"  get it     {status.source}" + (f"; or `semantiseg baselines get {status.name}`" if found.hub else ""),
        f"  licence    code {card.code_licence}; weights {card.weights_licence}",
        f"  checksum   {_checksum(status)}",
        f"  reads      {', '.join(card.reads)}; input {card.input_size}: {card.normalisation}",
        f"  trained on {', '.join(card.training_data) or 'not known'}",
        f"  cases      {OFFICIAL[status.name]}",
        *([f"  remark     {card.remark}"] if card.remark else []),
    ]


def listing(weights: Path | None, *, checksum: bool) -> str:
    """All baselines and installed models, a paragraph each.

    Args:
        weights: folder of all weights; None means the environment's, else `weights`.
        checksum: read each present file for its SHA-256.
    """
    root = weights_root(weights)
    lines = [f"Weights are looked for in {root}/FOLDER (--weights, {VARIABLE}); nothing is downloaded unasked.", ""]
    for name in CATALOGUE:
        lines += [*_one(look(name, root, checksum=checksum)), ""]
    installed = ", ".join(plugin_names()) or "none"
    return "\n".join([*lines, f"Installed models (entry points of {GROUP}): {installed}"])
