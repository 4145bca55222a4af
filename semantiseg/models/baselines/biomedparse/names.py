"""Names in BiomedParse's official files: what may be there unread, and what tells another version."""

from __future__ import annotations

from collections.abc import Iterable

from semantiseg.errors import ModelError

IGNORED: tuple[str, ...] = (
    # Prompts by click, scribble or reference picture, which text never uses.
    "dilation_kernel",
    "sem_seg_head.predictor.mask_sptial_embed.[0-2]",  # spelt so
    "sem_seg_head.predictor.pn_indicator.weight",
    "sem_seg_head.predictor.spatial_embed.weight",
    "sem_seg_head.predictor.spatial_featured.weight",
    # A positive factor of all similarities: it changes no choice.
    "sem_seg_head.predictor.lang_encoder.logit_scale",
    # BiomedBERT: stored, never called with CLIP's tokens.
    "sem_seg_head.predictor.lang_encoder.biomed_encoder.*",
    # Of the loss.
    "criterion.*",
)
"""Patterns (`fnmatch`) of official names that text inference never reads; every other name must be the network's."""

_SECOND_VERSION = ("predictor.language_encoder.", "output_deconv.")
"""Parts of names that only BiomedParse v2 has."""


def refuse_second_version(names: Iterable[str], *, origin: str) -> None:
    """Turn weights of BiomedParse v2 away by name: another decoder, another input size, another protocol.

    Raises:
        ModelError: they are v2's.
    """
    if any(sign in name for name in names for sign in _SECOND_VERSION):
        raise ModelError(
            f"{origin}: expected the weights of BiomedParse v1 (biomedparse_v1.pt), got those of BiomedParse v2, "
            "another network. Get the file of version 1 from the same page."
        )
