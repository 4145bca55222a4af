"""What must hold of SemantiBench, counted on the tables themselves."""

from __future__ import annotations

import pandas as pd

from semantiseg.bench.core import PER_LEVEL
from semantiseg.bench.ontology import PAPER_STRUCTURES
from semantiseg.conventions import LEVELS

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
