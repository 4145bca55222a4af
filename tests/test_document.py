"""Whatever a YAML file holds, there come values or an error that names the file."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semantiseg import document
from semantiseg.errors import DataError, ParameterError, SemantiSegError


@given(st.binary(max_size=200) | st.text("{}[]&*!:-<>|,\n\t a1'\"#%@", max_size=200).map(str.encode))
@settings(max_examples=150, deadline=None)
def test_bytes_of_any_kind_give_values_or_a_typed_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("yaml") / "any.yaml"
    path.write_bytes(content)
    for fast in (False, True):
        try:
            document.values(path, fast=fast)
        except ParameterError as error:
            assert str(path) in str(error)


def test_the_caller_says_which_error(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        document.values(tmp_path / "absent.yaml", error=DataError)


def test_aliases_that_stand_for_a_few_values_are_read():
    text = "a: &a [1, 2]\nb: *a\n"
    assert document.values_of(text, origin="text", error=SemantiSegError) == {"a": [1, 2], "b": [1, 2]}
