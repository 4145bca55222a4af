"""Under what terms each collection stands, and what that means for prompts about it.

Sources: medicaldecathlon.com and the `licence` entry of each `dataset.json` (MSD); the README of the KiTS23 repository;
the terms that BraTS 2024's users state (its own lie behind a login).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """Terms of a collection's images and labels.

    Attributes:
        name: SPDX identifier, or a phrase where there is none.
        terms: what a user must know.
        reference: the paper to cite.
    """

    name: str
    terms: str
    reference: str


RELEASE_LICENCE = "CC-BY-NC-SA-4.0"
RELEASE_LICENCE_URL = "https://creativecommons.org/licenses/by-nc-sa/4.0/"
"""Of prompts, programs and measurements as a whole: the strictest share-alike terms of what they are derived from."""

_PHANTOM = Licence("CC0-1.0", "Synthetic images, made by this software; no patient.", "This software.")
_USER = Licence("the owner's", "A user's own images: ask their owner before you pass prompts about them on.", "None.")
_BY_PREFIX = {
    "Task": Licence(
        "CC-BY-SA-4.0", "Medical Segmentation Decathlon: credit it and share alike.",
        "Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13, 4128 (2022).",
    ),
    "KiTS23": Licence(
        "CC-BY-NC-SA-4.0", "Kidney and kidney tumour segmentation 2023: no commercial use, credit it, share alike.",
        "Heller et al., The KiTS21 Challenge, arXiv:2307.01984.",
    ),
    "BraTS2024": Licence(
        "CC-BY-NC-4.0", "Brain tumour segmentation 2024: login and accepted terms; images must not be passed on.",
        "de Verdier et al., The 2024 BraTS Challenge: Glioma Segmentation on Post-treatment MRI, arXiv:2405.18368.",
    ),
}  # fmt: skip


def licence_of(collection: str, origin: str) -> Licence:
    """Terms of a collection by its name and origin (phantom, official, rendered or user)."""
    if origin == "phantom":
        return _PHANTOM
    found = next((terms for prefix, terms in _BY_PREFIX.items() if collection.startswith(prefix)), None)
    return found if found is not None and origin != "user" else _USER
