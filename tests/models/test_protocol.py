"""Models of other packages."""

from __future__ import annotations

import plugged
import pytest

from semantiseg.errors import ModelError
from semantiseg.models.protocol import open_plugin, plugin_names

MODULE = """
from semantiseg.models.protocol import ModelCard

class Whole:
    card = ModelCard(label="Whole", reads=("text",))
    needs_box = False
    def segment(self, image, texts, *, features=None, boxes=None):
        raise NotImplementedError

class Broken:
    def __init__(self):
        raise RuntimeError("no weights here")

class Mute:
    card = ModelCard(label="Mute", reads=("text",))
    needs_box = False

class Anonymous(Whole):
    card = "Anonymous"
"""


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    names = {"whole": "Whole", "broken": "Broken", "mute": "Mute", "anonymous": "Anonymous", "gone": "Gone"}
    with plugged.installed(tmp_path, monkeypatch, source=MODULE, models=names):
        yield


def test_an_entry_point_is_all_that_a_model_needs():
    assert {"whole", "broken", "mute"} <= set(plugin_names())
    assert open_plugin("whole").card.label == "Whole"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "whole.*got 'none'"),
        ("broken", "RuntimeError: no weights here"),
        ("gone", "AttributeError"),
        ("mute", r"without \['segment'\]"),
        ("anonymous", "without a ModelCard"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name, said):
    with pytest.raises(ModelError, match=said):
        open_plugin(name)
