"""Weights: a spoiled folder of a model is named, and nothing in it runs"""

from __future__ import annotations

import pytest
from faults.registry import Fault, tried

from semantiseg.errors import ModelError
from semantiseg.models.weights import read_trained


@tried(
    *(
        Fault(f"config.json of a model holds {name}", "an error that names the folder", "train it again", content)
        for name, content in {
            "a list": b"[]",
            "null": b"null",
            "a number": b"1",
            "text": b'"model"',
            "nothing": b"",
            "half of itself": b'{"model": "tok',
            "100,000 brackets": b"[" * 100_000,
            "Latin-1": b'{"model": "M\xfcller"}',
        }.items()
    )
)
def test_a_spoiled_description_is_a_model_error(tmp_path, fault):
    (tmp_path / "config.json").write_bytes(fault.inject)
    with pytest.raises(ModelError, match="expected config.json and model.safetensors"):
        read_trained(tmp_path, keys=["model"])
