"""The trained models, one entry each: parameters, networks, tables, figures and the ablation take theirs from here.

Without PyTorch, so that a table can be written where no model can run; `models/registry.py` builds what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Reading = Literal["contextual", "bag_of_words", "from_scratch", "noun", "none"]
"""How a model reads a sentence: the encoder's contextual tokens, the bare multiset of its word pieces, the word pieces'
numbers (`models.prompts.ScratchProjection` learns what they mean), the noun of the subject alone (`models.unet`), or
not at all."""

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
        gate: a key of `models.gate.GATES`; None for a network that is no fusion of two streams (`models.unet`).
        reading: what it takes of a sentence.
        plain: place among the models whose answer Figure 1 may show first, lowest first.
        ablated: its variant of the ablation; None where it is the default or not compared.
    """

    label: str
    colour: Colour
    marker: str
    gate: str | None
    reading: Reading = "contextual"
    line: Line = "solid"
    plain: int = 9
    ablated: Ablated | None = None

    @property
    def needs_box(self) -> bool:
        """Whether it reads a box in place of a sentence."""
        return self.reading == "none"


RECIPES: Mapping[str, Recipe] = {
    "token": Recipe("Token gate", "blue", "o", "token", plain=4),
    "scalar": Recipe(
        "Printed scalar gate (Eq. 2)", "orange", "s", "scalar", line="dashed", plain=0,
        ablated=Ablated("scalar_gate", "gate", "the gate as printed (Eq. 2 and 3)"),
    ),
    "channel": Recipe(
        "Channel gate", "vermilion", "v", "channel", line=(0, (5, 1)),
        ablated=Ablated("channel_gate", "gate", "one alpha a channel"),
    ),
    "none": Recipe(
        "Frequency fusion, no gate", "green", "^", "none", line="dotted", plain=1,
        ablated=Ablated("no_gate", "gate", "sentence embedding added, no gate"),
    ),
    "bag_of_words": Recipe(
        "Token gate, bag of words", "purple", "D", "token", "bag_of_words", line="dashdot", plain=2,
        ablated=Ablated("bag_of_words", "text encoder", "word pieces without order or context"),
    ),
    "from_scratch": Recipe(
        "Token gate, text encoder from scratch", "sky", "P", "token", "from_scratch", line=(0, (3, 1, 1, 1)),
        ablated=Ablated("from_scratch", "text encoder", "trained with the model, knows nothing before"),
    ),
    "box": Recipe("Box only, no text", "grey", "x", "box", "none", line=(0, (1, 3)), plain=3),
    "unet": Recipe("Plain U-Net, noun alone", "yellow", "*", None, "noun", line=(0, (3, 1, 1, 1, 1, 1))),
}  # fmt: skip
"""Name of a model -> its recipe, in the order of tables and figures."""

GATED: Mapping[str, Recipe] = {name: recipe for name, recipe in RECIPES.items() if recipe.gate is not None}
"""Those that fuse two image streams: what `models/registry.py` builds, and what the others are held against."""


SEMANTISEG, NETWORK = "semantiseg", "token"
"""The model that the project is named for, and the trained one that it asks: it reads, composes, and answers by the
gate what it did not read (`composition/composed.py`). It is trained no further, so it has no entry above."""

WHOLE = Recipe("SemantiSeg", "vermilion", "*", None, line=(0, (6, 1)))


def shown(models: Sequence[str]) -> list[str]:
    """Rows of tables and figures for these trained models: SemantiSeg first, where its network is among them."""
    return [*([SEMANTISEG] if NETWORK in models else []), *models]


def recipe_of(model: str) -> Recipe:
    """How any model is shown: as its recipe says, else by its own name, grey and with dots."""
    return WHOLE if model == SEMANTISEG else RECIPES.get(model) or Recipe(model, "grey", "o", "none")
