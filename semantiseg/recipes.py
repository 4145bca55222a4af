"""The trained models, one entry each: parameters, networks, tables, figures and the ablation take theirs from here.

Without PyTorch, so that a table can be written where no model can run; `models/registry.py` builds what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Reading = Literal["contextual", "bag_of_words", "from_scratch", "none"]
"""How a model reads a sentence: the encoder's contextual tokens, the bare multiset of its word pieces, the word pieces'
numbers (`models.prompts.ScratchProjection` learns what they mean), or not at all."""

Colour = Literal["orange", "sky", "green", "yellow", "blue", "vermilion", "purple", "grey"]
"""A colour of `paper/style.py`."""

Line = str | tuple[int, tuple[int, ...]]
"""A line style of matplotlib."""


@dataclass(frozen=True)
class Ablated:
    """A model as a variant of the ablation, which changes nothing but the model.

    Attributes:
        name: of the variant.
        factor: what kind of thing it changes.
        says: what it is, in the words of the report.
    """

    name: str
    factor: Literal["gate", "text encoder"]
    says: str


@dataclass(frozen=True)
class Recipe:
    """One trained model: what distinguishes it from the others (all else is equal), and how it is shown.

    Attributes:
        label: its name in tables and figures.
        colour, marker, line: how it is drawn.
        gate: a key of `models.gate.GATES`.
        reading: what it takes of a sentence.
        plain: place among the models that Figure 1 may show as the one that collapses (panel A), lowest first.
        gated: place among those whose gate it may show (panels B and C).
        ablated: its variant of the ablation; None where it is the default or not compared.
    """

    label: str
    colour: Colour
    marker: str
    gate: str
    reading: Reading = "contextual"
    line: Line = "solid"
    plain: int = 9
    gated: int = 9
    ablated: Ablated | None = None

    @property
    def needs_box(self) -> bool:
        """Whether it reads a box in place of a sentence."""
        return self.reading == "none"


RECIPES: Mapping[str, Recipe] = {
    "token": Recipe("SemantiSeg, token gate", "blue", "o", "token", plain=4, gated=0),
    "scalar": Recipe(
        "SemantiSeg, scalar gate (Eq. 2)", "orange", "s", "scalar", line="dashed", plain=0, gated=1,
        ablated=Ablated("scalar_gate", "gate", "the gate as printed (Eq. 2 and 3)"),
    ),
    "channel": Recipe(
        "SemantiSeg, channel gate", "vermilion", "v", "channel", line=(0, (5, 1)),
        ablated=Ablated("channel_gate", "gate", "one alpha a channel"),
    ),
    "none": Recipe(
        "Frequency fusion, no gate", "green", "^", "none", line="dotted", plain=1, gated=3,
        ablated=Ablated("no_gate", "gate", "sentence embedding added, no gate"),
    ),
    "bag_of_words": Recipe(
        "Token gate, bag of words", "purple", "D", "token", "bag_of_words", line="dashdot", plain=2, gated=2,
        ablated=Ablated("bag_of_words", "text encoder", "word pieces without order or context"),
    ),
    "from_scratch": Recipe(
        "Token gate, text encoder from scratch", "sky", "P", "token", "from_scratch", line=(0, (3, 1, 1, 1)),
        ablated=Ablated("from_scratch", "text encoder", "trained with the model, knows nothing before"),
    ),
    "box": Recipe("Box only, no text", "grey", "x", "box", "none", line=(0, (1, 3)), plain=3, gated=4),
}  # fmt: skip
"""Name of a model -> its recipe, in the order of tables and figures."""


def recipe_of(model: str) -> Recipe:
    """How any model is shown: as its recipe says, else by its own name, grey and with dots."""
    return RECIPES.get(model) or Recipe(model, "grey", "o", "none")
