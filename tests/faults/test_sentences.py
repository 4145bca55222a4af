"""Sentences: what a sentence holds never decides whether its mask and picture are written"""

from __future__ import annotations

import numpy as np
import pytest
from faults.registry import Fault, tried
from matplotlib.image import imread

from semantiseg import files
from semantiseg.segment import draw_overlay

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
