"""What an ablation changes, one thing at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT = "default"


@dataclass(frozen=True)
class Variant:
    """One change to the default."""

    name: str
    factor: str
    """What kind of thing it changes."""
    says: str
    """What it is, in the words of the report."""
    model: str = "token"
    loss: Mapping[str, float | bool] = field(default_factory=dict)
    """Changes to the `train` section."""
    phrasings: int | None = None
    """Surface forms kept of each training question; None keeps all."""
    width: str | None = None
    """Preset of streams that are warmed up for it; None takes the pipeline's own."""
    longer: int = 1
    """How many times the steps."""
    against: tuple[str, ...] = (DEFAULT,)
    """Variants that it is compared with: those that change one thing less."""


VARIANTS = (
    Variant(DEFAULT, "default", "token gate, all phrasings, MiniLM, Haar bands"),
    Variant("scalar_gate", "gate", "the gate as printed (Eq. 2 and 3)", model="scalar"),
    Variant("channel_gate", "gate", "one alpha a channel", model="channel"),
    Variant("no_gate", "gate", "sentence embedding added, no gate", model="none"),
    Variant("two_phrasings", "phrasing variety", "token gate, two phrasings a question", phrasings=2),
    Variant(
        "scalar_two_phrasings",
        "gate and phrasing variety",
        "printed gate, two phrasings",
        model="scalar",
        phrasings=2,
        against=("scalar_gate", "two_phrasings"),
    ),
    Variant("bag_of_words", "text encoder", "word pieces without order or context", model="bag_of_words"),
    Variant("from_scratch", "text encoder", "trained with the model, knows nothing before", model="from_scratch"),
    Variant("pixels", "frequency stream", "pixels in place of their Haar bands", width="small_pixels"),
    Variant("no_frequency", "frequency stream", "semantic stream alone", width="small_semantic"),
    Variant("printed_dhn", "loss", "L_DHN as printed, blind to false positives", loss={"dhn_negatives": False}),
    Variant("cross_entropy", "loss", "cross-entropy for L_DHN", loss={"dhn_gamma": 0.0}),
    Variant("longer", "steps", "token gate, three times the steps", longer=3),
    Variant(
        "scalar_longer",
        "gate and steps",
        "printed gate, three times the steps",
        model="scalar",
        longer=3,
        against=("scalar_gate", "longer"),
    ),
    Variant(
        "no_gate_longer",
        "gate and steps",
        "no gate, three times the steps",
        model="none",
        longer=3,
        against=("no_gate", "longer"),
    ),
    Variant(
        "cross_entropy_longer",
        "loss and steps",
        "cross-entropy for L_DHN, three times the steps",
        loss={"dhn_gamma": 0.0},
        longer=3,
        against=("cross_entropy", "longer"),
    ),
)


def variant(name: str) -> Variant:
    """The variant of that name; KeyError for another."""
    return {item.name: item for item in VARIANTS}[name]
