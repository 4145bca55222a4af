"""Attribute clauses: the descriptive part of a prompt ("hypodense", "about 14 mm across"), as data.

A clause says that a visual attribute of the target has a value; `bench/measure/attributes.py` measures it,
`language/grammar/surface.py` words it, `bench/verify/verifier.py` reads it back and checks it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from semantiseg.errors import PromptError

VALUES: dict[str, tuple[str, ...]] = {
    "density": ("hypodense", "isodense", "hyperdense"),
    "signal": ("hypointense", "isointense", "hyperintense"),
    "texture": ("homogeneous", "heterogeneous"),
    "shape": ("round", "elongated", "irregular"),
    "margin": ("well_defined", "ill_defined"),
    "diameter": (),
}
"""Attribute -> its values. `density` is asked on CT, `signal` on MR; `diameter` is a whole number of millimetres."""


@dataclass(frozen=True, order=True)
class Clause:
    """One attribute and its value.

    Raises:
        PromptError: unknown attribute or value.
    """

    attribute: str
    value: str

    def __post_init__(self) -> None:
        if self.attribute not in VALUES:
            raise PromptError(f"expected an attribute among {sorted(VALUES)}, got {self.attribute!r}.")
        known = VALUES[self.attribute]
        if known and self.value not in known or not known and not self.value.isdigit():
            raise PromptError(f"{self.attribute}: expected {known or 'whole millimetres'}, got {self.value!r}.")


def to_json(clauses: Iterable[Clause]) -> str:
    """The clauses as the JSON list that the Parquet files hold."""
    return json.dumps([asdict(clause) for clause in clauses])


def from_json(text: str) -> tuple[Clause, ...]:
    """Inverse of `to_json`."""
    return tuple(Clause(**item) for item in json.loads(text))
