"""What must hold of SemantiBench, counted on the tables themselves.

Prompts as a reader sees them: the slice, the outline of the target and of its parent, and the words.
"""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from semantiseg.bench.ask.questions import PER_LEVEL
from semantiseg.bench.measure.labelled_slice import read_slice
from semantiseg.conventions import LEVELS, Mask, radiological
from semantiseg.data.store import VolumeStore
from semantiseg.language.ontology import PAPER_STRUCTURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Claim = tuple[str, int, int]
"""A claim, how many things were looked at, and how many of them break it."""


def check_candidates(prompts: pd.DataFrame, training: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """Exceptions to what stage prompts promises; columns `claim`, `of`, `expected`, `exceptions`."""
    return _table([*_core(prompts, manifest), *_suites(prompts), *_training(training, manifest)])


def check_bench(prompts: pd.DataFrame, training: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """Exceptions to what stage verify promises; columns as in `check_candidates`."""
    test = set(prompts[(prompts.split == "test") & (prompts.phrasing != "seen")].text)
    taught = set(training.texts.explode())
    extra = [
        ("no test text of an unseen part is a training text", len(test), len(test & taught)),
        ("every prompt has its own id", len(prompts), int(prompts.prompt_id.duplicated().sum())),
        ("no reserve is left among the prompts", len(prompts), int((prompts.suite == "reserve").sum())),
    ]
    return _table([*_core(prompts, manifest), *_suites(prompts), *_training(training, manifest), *extra])


def coverage(prompts: pd.DataFrame) -> pd.DataFrame:
    """Core prompts by structure and level, the paper's 14 structures first and in its order; zeros are shown."""
    counts = prompts[prompts.suite == "core"].groupby(["structure", "level"]).size().unstack("level", fill_value=0)
    beyond = sorted(set(counts.index) - set(PAPER_STRUCTURES))
    return counts.reindex([*PAPER_STRUCTURES, *beyond], fill_value=0).reindex(columns=list(LEVELS), fill_value=0)


def _core(prompts: pd.DataFrame, manifest: pd.DataFrame) -> list[Claim]:
    core = prompts[prompts.suite == "core"]
    counts = core.groupby(["volume_id", "level"]).size().unstack("level", fill_value=0)
    counts = counts.reindex(index=manifest.index, columns=list(LEVELS), fill_value=0)
    return [
        (
            "every volume has nine core prompts, three a level",
            len(counts),
            int((counts != PER_LEVEL).any(axis=1).sum()),
        ),
        ("the levels of a volume are equally many", len(counts), int((counts.nunique(axis=1) > 1).sum())),
        ("no volume has the same core text twice", len(core), int(core.duplicated(["volume_id", "text"]).sum())),
    ]


def _suites(prompts: pd.DataFrame) -> list[Claim]:
    absent = prompts[prompts.suite == "absent"]
    present = prompts[prompts.suite != "absent"]
    triples = prompts[prompts.suite == "triple"].groupby("group")
    pairs = prompts[prompts.suite == "counterfactual"].groupby("group")
    same = prompts[prompts.suite == "paraphrase"].groupby("group")
    return [
        ("targets of the absent suite are empty, all others not", len(prompts),
         int((absent.target_pixels > 0).sum() + (present.target_pixels == 0).sum())),
        ("a triple asks at every level", len(triples), sum(sorted(one) != list(LEVELS) for _, one in triples["level"])),
        ("the targets of a triple are equally large", len(triples), int((triples.target_pixels.nunique() != 1).sum())),
        ("a counterfactual pair has two different programs", len(pairs), int((pairs.program.nunique() != 2).sum())),
        ("a paraphrase group has one program in five texts", len(same),
         int(((same.program.nunique() != 1) | (same.text.nunique() != 5)).sum())),
    ]  # fmt: skip


def _training(training: pd.DataFrame, manifest: pd.DataFrame) -> list[Claim]:
    asked = set(manifest.loc[training.volume_id.unique(), "patient_id"])
    test = set(manifest[manifest.split == "test"].patient_id)
    return [
        ("no training question is about a patient of the test split", len(asked), len(asked & test)),
        ("every training question has texts", len(training), int((training.texts.str.len() == 0).sum())),
    ]


def _table(claims: list[Claim]) -> pd.DataFrame:
    table = pd.DataFrame(claims, columns=["claim", "of", "exceptions"])
    table.insert(2, "expected", 0)
    return table


# Okabe & Ito's yellow and vermilion: apart for colour-blind readers, bright on grey.
TARGET, PARENT = "#F0E442", "#D55E00"


def masks_of(store: VolumeStore, prompt: pd.Series) -> tuple[Mask, Mask]:
    """Target and parent of a prompt on its slice, `[H, W]` each."""
    shown = read_slice(store, prompt.volume_id, int(prompt.slice), seen=False)
    return shown.mask(prompt.program), shown.mask(prompt.parent)


def examples(prompts: pd.DataFrame, *, by: str, count: int = 1) -> pd.DataFrame:
    """The first `count` prompts of every value of `by`, in the order of their ids: a fixed draw that nobody chose."""
    return prompts.sort_values("prompt_id").groupby(by, sort=True).head(count).sort_values([by, "prompt_id"])


def prompt_gallery(store: VolumeStore, prompts: pd.DataFrame, *, columns: int = 4) -> Figure:
    """Draw prompts in radiological convention (anterior up, the patient's right on the left).

    The target is outlined solid yellow, its parent dashed vermilion; an absent target has no outline. Phantoms are
    called so.
    """
    import matplotlib.pyplot as plt

    columns = min(columns, max(len(prompts), 1))
    rows = max(-(-len(prompts) // columns), 1)
    figure, axes = plt.subplots(rows, columns, figsize=(3.4 * columns, 4.4 * rows), squeeze=False)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.98, bottom=0.02, wspace=0.06, hspace=0.36)
    for panel in axes.flat:
        panel.axis("off")
    for panel, (_, prompt) in zip(axes.flat, prompts.iterrows(), strict=False):
        _draw(panel, store, prompt)
    return figure


def _draw(panel: Axes, store: VolumeStore, prompt: pd.Series) -> None:
    target, parent = masks_of(store, prompt)
    panel.imshow(radiological(store.image_slice(prompt.volume_id, int(prompt.slice))), cmap="gray", vmin=0, vmax=1)
    if (parent != target).any():
        _outline(panel, parent, colour=PARENT, style="dashed")
    _outline(panel, target, colour=TARGET, style="solid")
    phantom = ", phantom" if prompt.origin == "phantom" else ""
    panel.set_title(f"{prompt.volume_id}{phantom}, slice {prompt.slice}\nL{prompt.level} {prompt.kind}", fontsize=7)
    facts = ", ".join(f"{key} {value:g}" for key, value in json.loads(prompt.evidence)["program"].items())
    lines = [f"“{prompt.text}”", prompt.program, *map(_measured, json.loads(prompt.evidence)["clauses"]), facts]
    caption = "\n".join(line for text in lines if text for line in textwrap.wrap(text, 54))
    panel.text(0.5, -0.02, caption, transform=panel.transAxes, ha="center", va="top", fontsize=6.5)


def _outline(panel: Axes, mask: Mask, *, colour: str, style: str) -> None:
    if mask.any():
        # Padded: a target at the edge of the picture has an outline there too.
        padded = np.pad(radiological(mask).astype(float), 1)
        extent = (-1.5, mask.shape[1] + 0.5, -1.5, mask.shape[0] + 0.5)
        panel.contour(padded, levels=[0.5], colors=colour, linestyles=style, linewidths=1.0, extent=extent)


def _measured(item: dict) -> str:
    against = f" against {item['reference']}" if "reference" in item else ""
    return f"{item['attribute']} {item['value']}: {item['number']:g} {item['unit']}{against}"
