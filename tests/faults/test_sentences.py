"""Sentences: what a sentence holds never decides whether its mask and picture are written"""

from __future__ import annotations

import ast

import nibabel as nib
import numpy as np
import pytest
import tiny_project
from faults.registry import Fault, tried
from matplotlib.image import imread

from semantiseg import files
from semantiseg.data.case import Channel
from semantiseg.data.layouts.collection_folder import CaseFiles, Collection
from semantiseg.data.understanding import draw_slices
from semantiseg.paper.overlay import draw_overlay

PICTURE = np.random.default_rng(0).random((2, 24, 20)).astype(np.float32)


@tried(
    *(
        Fault(f"`segment --overlay` with a sentence that holds {name}", f"drawn {how}", "nothing", text)
        for name, how, text in (
            ("half of TeX's mathematics (`$x_$`)", "as it stands", "the liver $x_$"),
            ("TeX's mathematics", "as it stands", r"the $\frac{1}{2}$ liver \alpha"),
            ("a single dollar", "as it stands", "liver for 5 $"),
            ("half of a surrogate pair", "with its code", "the liver \udcff"),
            ("a zero byte and an escape", "with their codes", "the \x00 liver \x1b[31m"),
            ("a right-to-left mark", "with its code", "the \u202eliver"),
            ("letters that no font has", "as boxes", "the \U0010fffd liver"),
            ("10,000 letters without a space", "in lines", "l" * 10_000),
        )
    )
)
@pytest.mark.filterwarnings("ignore:Glyph", "ignore:constrained_layout")
def test_every_sentence_is_drawn_as_text(tmp_path, fault):
    draw_overlay(tmp_path / "one.png", PICTURE, PICTURE[None] > 0.5, [(fault.inject, f"read as {fault.inject}")])
    assert imread(tmp_path / "one.png").std() > 0


@tried(Fault("`segment --overlay` cannot draw its picture", "neither mask nor picture is written", "mend what it says"))
def test_both_files_or_neither(tmp_path):
    mask, picture = tmp_path / "mask.nii.gz", tmp_path / "new/picture.png"
    mask.write_text("an earlier mask")
    with pytest.raises(RuntimeError), files.complete(mask, picture) as made:
        made[0].write_text("a new mask")
        raise RuntimeError("no picture")
    assert mask.read_text() == "an earlier mask"
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["mask.nii.gz", "new"]
    with files.complete(mask, picture) as made:
        assert made[0].name.endswith(".nii.gz") and made[1].suffix == ".png"
        for path in made:
            path.write_text("new")
    assert mask.read_text() == picture.read_text() == "new"


@tried(
    *(
        Fault(f"A case or channel is called {name}", f"drawn {how} by `check --picture`", "nothing", text)
        for name, how, text in (
            ("`$x_$`", "as it stands", "$x_$"),
            ("by half of a surrogate pair", "with its code", "case\udcff"),
            ("by an escape and a line break", "with its code", "a\x1b[31m\nb"),
        )
    )
)
def test_names_of_cases_are_drawn_as_text(tmp_path, fault):
    path = tmp_path / "a.nii.gz"
    labels = np.zeros((8, 8, 4), np.uint8)
    labels[2:5, 2:5, 1:3] = 1
    nib.save(nib.Nifti1Image(labels, np.eye(4)), path)
    case = CaseFiles(fault.inject, (Channel(fault.inject, "CT", path),), path)
    collection = Collection(tmp_path, fault.inject, "decathlon", path, labels={1: fault.inject}, cases=(case,))
    draw_slices([collection], tmp_path / "page.png")
    assert imread(tmp_path / "page.png").std() > 0


def test_every_figure_with_words_of_others_is_drawn_without_mathematics():
    """Whoever makes a figure does it under the one style, or under `markup.no_mathematics`."""
    makers, covered = set(), set()
    for path in sorted((tiny_project.ROOT / "semantiseg").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            first = min(part.lineno for part in (node, *getattr(node, "decorator_list", ())))
            source = "\n".join(text.splitlines()[first - 1 : node.end_lineno])
            if isinstance(node, ast.FunctionDef) and ("plt.subplots(" in source or "= Figure(" in source):
                makers.add(f"{path.name}: {node.name}")
                if "style.applied()" in source or "no_mathematics()" in source:
                    covered.add(f"{path.name}: {node.name}")
    assert len(makers) >= 12 and makers - covered == {"patients.py: _no_picture"}
