"""Clauses are values: they round-trip through JSON and refuse what they do not know."""

from __future__ import annotations

import pytest

from semantiseg.errors import PromptError
from semantiseg.language.clause import VALUES, Clause, from_json, to_json

EVERY = [Clause(name, value) for name, values in VALUES.items() for value in values or ("7", "124")]


def test_every_clause_round_trips_in_order():
    assert from_json(to_json(EVERY)) == tuple(EVERY)
    assert from_json(to_json(EVERY[::-1])) == tuple(EVERY[::-1])
    assert from_json("[]") == ()


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("colour", "red"), ("density", "hyperintense"), ("signal", ""), ("diameter", "1.5"), ("diameter", "-3")],
)
def test_unknown_attributes_and_values_are_refused(attribute, value):
    with pytest.raises(PromptError, match="expected"):
        Clause(attribute, value)
