"""Why a prompt that is wanted is not made: one vocabulary for the plan, the build and the account.

A reason is a code, a colon and a sentence, as the verifier's reasons are; tables count by the code.
"""

from __future__ import annotations

REASONS: dict[str, str] = {
    "draw": "left out so that the tasks share the total",
    "channel": "nothing labelled can be seen on this channel",
    "size": "no labelled structure is large enough on a slice",
    "name": "too few names and slices",
    "description": "nothing stands out enough to be described",
    "composition": "too few compositions change a mask clearly on a slice",
    "balance": "another level of this volume has fewer",
    "core": "fewer core questions to be asked again",
    "triple": "no mask that a name, a description and a composition share",
    "paraphrase": "no composition to be put into five texts",
    "counterfactual": "no two programs, one word apart, with different masks on a slice",
    "absent": "its structures are there in every case",
    "words": "the grammar has no further text",
}
"""Code -> what is missing, for what is short before any text is verified."""

OF_LEVEL = {1: "name", 2: "description", 3: "composition"}
"""Level -> code of what it lacks."""


def reason(code: str, more: str = "") -> str:
    """The whole reason; `more` says it of this case."""
    return f"{code}: {REASONS[code]}" + (f", {more}" if more else "")


def code_of(text: str) -> str:
    """The code that opens a reason."""
    return text.partition(":")[0]
