"""CLIP's tokens."""

from __future__ import annotations

import pytest

from semantiseg.baselines.biomedparse.text_encoder import CONTEXT, clip_tokens
from semantiseg.errors import PromptError

START, END = 49406, 49407


def test_known_sentences_have_the_published_ids():
    # "a photo of a cat": the example of CLIP's own documentation.
    assert clip_tokens(["a photo of a cat"]).tolist() == [[START, 320, 1125, 539, 320, 2368, END]]


def test_shorter_rows_are_padded_with_the_end_token_and_case_does_not_matter():
    ids = clip_tokens(["A Photo", "a photo of a cat"])
    assert ids.tolist()[0] == [START, 320, 1125, END, END, END, END]


def test_a_sentence_beyond_the_context_is_refused_and_never_cut():
    assert clip_tokens(["cat " * (CONTEXT - 2)]).shape == (1, CONTEXT)
    with pytest.raises(PromptError, match="78"):
        clip_tokens(["liver", "cat " * (CONTEXT - 1)])
