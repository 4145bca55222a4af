"""What label numbers and label names mean: each collection's labels -> leaf keys of the ontology.

Sources: `dataset.json` of the Decathlon tasks; KiTS23 `kits23/configuration/labels.py`; BraTS 2024 GLI
(arXiv:2405.18368). Task01 and BraTS2024-GLI number the same tissues differently (1 is oedema in the one, necrosis in
the other).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path

from semantiseg import document
from semantiseg.errors import DataError, OntologyError

IGNORE = "ignore"
"""Value in a mapping file that turns a label into background."""

DECATHLON: dict[str, dict[int, tuple[str, tuple[str, ...]]]] = {
    "Task01_BrainTumour": {
        1: ("brain_oedema", ("edema",)),
        2: ("necrotic_core", ("non-enhancing tumor",)),
        3: ("enhancing_tumour", ("enhancing tumour",)),
    },
    "Task02_Heart": {1: ("left_atrium", ("left atrium",))},
    "Task03_Liver": {1: ("liver_parenchyma", ("liver",)), 2: ("liver_tumour", ("cancer", "tumour"))},
    "Task04_Hippocampus": {1: ("anterior_hippocampus", ("Anterior",)), 2: ("posterior_hippocampus", ("Posterior",))},
    "Task05_Prostate": {1: ("peripheral_zone", ("PZ",)), 2: ("transition_zone", ("TZ",))},
    "Task06_Lung": {1: ("lung_tumour", ("cancer",))},
    "Task07_Pancreas": {1: ("pancreas_parenchyma", ("pancreas",)), 2: ("pancreatic_tumour", ("cancer",))},
    "Task08_HepaticVessel": {1: ("hepatic_vessels", ("Vessel",)), 2: ("liver_tumour", ("Tumour",))},
    "Task09_Spleen": {1: ("spleen", ("spleen",))},
    "Task10_Colon": {1: ("colon_tumour", ("colon cancer primaries", "cancer"))},
}
"""Task -> label number -> (leaf, names that its `dataset.json` may give it)."""

KITS23: dict[int, str] = {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst"}

BRATS2024_GLI: dict[int, str] = {1: "necrotic_core", 2: "brain_oedema", 3: "enhancing_tumour", 4: "resection_cavity"}

_NETC_SNFH_ET = {number: BRATS2024_GLI[number] for number in (1, 2, 3)}
BRATS2024: dict[str, dict[int, str]] = {
    "GLI": BRATS2024_GLI,
    "SSA": _NETC_SNFH_ET,
    "MET": _NETC_SNFH_ET,
    # Another order than the others', and two kinds of core.
    "PED": {1: "enhancing_tumour", 2: "nonenhancing_tumour", 3: "tumour_cyst", 4: "brain_oedema"},
    "MEN-RT": {1: "meningioma"},
}
"""Sub-challenge -> label number -> leaf (nnU-Net's Dataset226 and the challenges' own pages agree)."""

# Leaf -> further names met in users' collections (BTCV, AMOS, FLARE, TotalSegmentator); the leaf key itself is always a
# name.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "left_atrium": ("heart atrium left", "left atrial cavity"),
    "liver_parenchyma": ("liver",),
    "liver_tumour": ("liver tumor", "liver lesion", "liver cancer", "hepatic tumour"),
    "hepatic_vessels": ("hepatic vessel", "liver vessel", "vessel"),
    "spleen": (),
    "pancreas_parenchyma": ("pancreas",),
    "pancreatic_tumour": ("pancreas tumour", "pancreatic cancer", "pancreas cancer", "pancreatic lesion"),
    "colon_tumour": ("colon cancer", "colon cancer primaries", "colon lesion"),
    "lung_tumour": ("lung cancer", "lung lesion", "lung nodule"),
    "kidney_parenchyma": ("kidney",),
    "whole_kidney": ("kidney with mass", "kidney and mass", "kidney with tumour", "kidney with lesion"),
    "kidney_tumour": ("renal tumour", "kidney lesion", "kidney cancer"),
    "kidney_cyst": ("renal cyst", "cyst of the kidney"),
    "right_kidney": ("kidney right", "r kidney"),
    "left_kidney": ("kidney left", "l kidney"),
    "peripheral_zone": ("pz", "prostate peripheral zone"),
    "transition_zone": ("tz", "prostate transition zone", "transitional zone"),
    "whole_prostate": ("prostate", "prostate gland"),
    "anterior_hippocampus": ("hippocampus anterior", "hippocampal head"),
    "posterior_hippocampus": ("hippocampus posterior",),
    "whole_hippocampus": ("hippocampus",),
    "whole_brain_tumour": (
        "brain tumour", "glioma", "lower grade glioma", "low grade glioma", "high grade glioma", "glioblastoma",
        "whole tumour", "flair abnormality",
    ),
    "enhancing_tumour": ("enhancing tissue",),
    "necrotic_core": ("necrosis", "non enhancing tumour", "non enhancing tumour core", "netc", "ncr"),
    "brain_oedema": ("oedema", "peritumoural oedema", "snfh"),
    "resection_cavity": ("rc",),
    "nonenhancing_tumour": (),
    "tumour_cyst": (),
    "meningioma": (),
    "gallbladder": ("gall bladder",),
    "oesophagus": ("esophagus",),
    "stomach": (),
    "duodenum": (),
    "aorta": ("abdominal aorta",),
    "inferior_vena_cava": ("postcava", "ivc", "vena cava inferior"),
    "portal_and_splenic_veins": ("portal vein and splenic vein", "portal and splenic vein", "veins"),
    "adrenal_gland": ("adrenal", "suprarenal gland"),
    "right_adrenal_gland": ("adrenal gland right", "rag", "right adrenal"),
    "left_adrenal_gland": ("adrenal gland left", "lag", "left adrenal"),
    "urinary_bladder": ("bladder",),
    "lung": (),
    "right_lung": ("lung right",),
    "left_lung": ("lung left",),
    "heart": (),
}

LEAVES: frozenset[str] = frozenset(_SYNONYMS)
"""Every leaf that a label can be mapped to."""

_SPELLINGS = {"tumor": "tumour", "edema": "oedema", "esophagus": "oesophagus", "peritumoral": "peritumoural"}


def normalised(name: str) -> str:
    """A label name in lower case, British spelling and singular, blanks for `_` and `-`, `left`/`right` first."""
    words = re.sub(r"[\s_\-]+", " ", name.strip().lower()).split()
    # Plural s only: pancreas, oesophagus, pelvis and the like keep theirs.
    words = [word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] not in "saiu" else word for word in words]
    words = [_SPELLINGS.get(word, word) for word in words]
    return " ".join(sorted(words, key=lambda word: word not in ("left", "right")))


_BY_NAME: dict[str, str] = {
    normalised(name): leaf for leaf, synonyms in _SYNONYMS.items() for name in (leaf, *synonyms)
}


def decathlon_structures(task: str, declared: Mapping[int, str], *, source: Path) -> dict[int, str]:
    """Leaves of an original Decathlon task, after checking that `dataset.json` agrees with the task's table.

    Args:
        task: a key of `DECATHLON`.
        declared: label number -> name as `dataset.json` gives it, without background.
        source: the `dataset.json`, for messages.

    Raises:
        OntologyError: a number is missing or new, or a name contradicts the table.
    """
    table = DECATHLON[task]
    expected = {number: names[0] for number, (_, names) in table.items()}
    agrees = set(declared) == set(table) and all(
        normalised(declared[number]) in {normalised(name) for name in names} for number, (_, names) in table.items()
    )
    if not agrees:
        raise OntologyError(
            f"{source}: expected the labels {expected} of {task}, got {dict(declared)}. "
            "Correct dataset.json, or rename the folder if it is a collection of your own."
        )
    return {number: leaf for number, (leaf, _) in table.items()}


def named_structures(
    declared: Mapping[int, str], *, mapping: Mapping[str, str], source: Path
) -> tuple[dict[int, str], frozenset[int]]:
    """Leaves of a user's collection, by label name: the mapping first, then the table of known names.

    Args:
        declared: label number -> name, without background.
        mapping: label name -> leaf key or `ignore`.
        source: the `dataset.json`, for messages.

    Returns:
        Label number -> leaf, and the numbers that the mapping drops.

    Raises:
        OntologyError: a name is not known; the message offers the nearest known names and the mapping file.
    """
    wanted = {normalised(name): leaf for name, leaf in mapping.items()}
    structures: dict[int, str] = {}
    ignored = set()
    for number, name in sorted(declared.items()):
        leaf = wanted.get(normalised(name)) or _BY_NAME.get(normalised(name))
        if leaf is None:
            raise _unknown(number, name, source=source)
        if leaf == IGNORE:
            ignored.add(number)
        else:
            structures[number] = leaf
    return structures, frozenset(ignored)


def _unknown(number: int, name: str, *, source: Path) -> OntologyError:
    whole = normalised(name)
    found = [
        near
        for text in (whole, *whole.split())
        for near in difflib.get_close_matches(text, sorted(_BY_NAME), n=3, cutoff=0.7)
    ]
    nearest = list(dict.fromkeys(found))[:3]
    offer = f" Nearest known: {', '.join(f'{near!r} ({_BY_NAME[near]})' for near in nearest)}." if nearest else ""
    return OntologyError(
        f"{source}: expected label names that the ontology knows, got {name!r} (label {number}).{offer} "
        f"Write a YAML file with the line `{name}: <leaf key>` (or `{name}: {IGNORE}` to drop the label) and name it "
        "in the "
        f"parameter prepare.mapping. Leaf keys: {', '.join(sorted(LEAVES))}."
    )


def read_mapping(path: str) -> dict[str, str]:
    """Read a mapping file, YAML `label name: leaf key`; an empty path gives an empty mapping.

    Raises:
        DataError: there is no such file, or it holds no mapping of names to names.
        OntologyError: a value is neither a leaf key nor `ignore`.
    """
    if not path:
        return {}
    remedy = "Correct the parameter prepare.mapping or the file."
    try:
        values = document.values(Path(path), error=DataError)
    except DataError as error:
        told = str(error).removeprefix(f"{path}: ")
        raise DataError(f"{path}: expected a YAML file `label name: leaf key`; {told} {remedy}") from None
    if not isinstance(values, dict) or not all(isinstance(item, str) for pair in values.items() for item in pair):
        raise DataError(f"{path}: expected a YAML mapping `label name: leaf key`, got {values!r}. {remedy}")
    for name, leaf in values.items():
        if leaf not in LEAVES | {IGNORE}:
            nearest = difflib.get_close_matches(leaf, sorted(LEAVES), n=3, cutoff=0.4) or sorted(LEAVES)
            raise OntologyError(
                f"{path}: expected a leaf key or `{IGNORE}` for {name!r}, got {leaf!r}. Perhaps {', '.join(nearest)}?"
            )
    return values
