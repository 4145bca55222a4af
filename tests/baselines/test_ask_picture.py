"""From a picture file and a sentence or box to masks in the picture's geometry."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from semantiseg.baselines import ask_picture as module
from semantiseg.baselines.ask_picture import MEANINGLESS, ask_picture, fill_by_formula
from semantiseg.baselines.baseline import read_picture
from semantiseg.baselines.sam_med2d import SamMed2d
from semantiseg.baselines.sam_network import SamNetwork, SamSizes
from semantiseg.cli import main
from semantiseg.errors import DataError, ModelError, ParameterError
from semantiseg.models.gate import box_of


@pytest.fixture(scope="module")
def small(small_imis_net):
    """Small networks of the two kinds of prompt; formula weights."""
    sizes = SamSizes(image_size=256, patch=32, width=24, depth=2, heads=2, window=3, decoder_hidden=16)
    return {
        "sam_med2d": SamMed2d(fill_by_formula(SamNetwork(sizes, adapter=True), seed=0)),
        "imis_net": small_imis_net,
    }


@pytest.fixture(autouse=True)
def in_their_place(small, monkeypatch):
    monkeypatch.setattr(module, "by_formula", small.__getitem__)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "scan.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90), dtype=np.uint8)).save(path)
    return path


def test_a_mask_by_formula_says_that_it_means_nothing_in_word_name_and_file(picture, tmp_path):
    line, _ = ask_picture(
        "imis_net", picture, tmp_path / "out", texts=["left kidney", "liver"], weights=tmp_path, formula=True
    )
    assert MEANINGLESS in line and "left kidney" in line and "60 x 90" in line
    first, second = sorted((tmp_path / "out").glob("*.png"))
    assert "formula_weights" in first.name and "formula_weights" in second.name
    with Image.open(first) as image:
        assert image.size == (90, 60) and image.text == {"Prompt": "left kidney", "Comment": MEANINGLESS}
        assert set(np.unique(image)) <= {0, 255}


def test_masks_in_the_file_are_the_models_own(picture, tmp_path, small):
    box = (5.0, 10.0, 40.0, 80.0)
    ask_picture("sam_med2d", picture, tmp_path / "out", boxes=[box], weights=tmp_path, formula=True)
    expected = small["sam_med2d"].ask(read_picture(picture), boxes=np.float32([box]))[0] > 0.5
    (path,) = (tmp_path / "out").glob("*.png")
    assert (np.asarray(Image.open(path)) // 255 == expected).all()


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"name": "unet", "texts": ["a"]}, ParameterError, "got 'unet'"),
        ({}, ParameterError, "got 0 and 0"),
        ({"texts": ["a"], "boxes": [(0, 0, 1, 1)]}, ParameterError, "got 1 and 1"),
        ({"texts": ["a"]}, ModelError, "by box, got text"),
        ({"boxes": [(0, 0, 61, 5)]}, ModelError, "reaches outside"),
        ({"boxes": [(5, 5, 5, 5)]}, ModelError, "is empty"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_nothing_is_written(picture, tmp_path, asked, error, said):
    with pytest.raises(error, match=said):
        ask_picture(
            **({"name": "sam_med2d"} | asked), picture=picture, output=tmp_path / "out", weights=tmp_path, formula=True
        )
    assert not (tmp_path / "out").exists()


def test_formula_weights_are_never_taken_unasked(picture, tmp_path):
    with pytest.raises(ModelError, match="expected a weight file"):
        ask_picture("sam_med2d", picture, tmp_path / "out", boxes=[(0, 0, 9, 9)], weights=tmp_path)
    with pytest.raises(DataError, match="none.png"):
        absent, out = tmp_path / "none.png", tmp_path / "out"
        ask_picture("sam_med2d", absent, out, boxes=[(0, 0, 9, 9)], weights=tmp_path, formula=True)


def test_the_command_line_asks_by_box_and_by_sentence(picture, tmp_path):
    for name, prompt in (("imis_net", ("--text", "liver")), ("sam_med2d", ("--box", "5", "10", "40", "80"))):
        arguments = ["baselines", "ask", name, str(picture), str(tmp_path / name), *prompt, "--formula-weights"]
        answer = CliRunner().invoke(main, arguments)
        assert answer.exit_code == 0 and MEANINGLESS in answer.output, answer.output
        assert len(list((tmp_path / name).glob("*.png"))) == 1


def test_real_pictures_are_asked_to_the_end_in_their_own_geometry(shared, tmp_path):
    """CT, MR and X-ray with the sentences of their masks' names, and the real masks' boxes."""
    pictures = sorted((shared / "text_prompt_demo" / "demo").glob("*.png"))
    masks = sorted((shared / "text_prompt_demo" / "demo_mask").glob("*.png"))
    for picture in pictures[::4]:
        size = Image.open(picture).size
        own = [path for path in masks if path.stem.startswith(picture.stem)]
        texts = [path.stem.removeprefix(f"{picture.stem}_").replace("+", " ") for path in own]
        drawn = [tuple(map(float, box_of(np.asarray(Image.open(path).convert("L")) > 0))) for path in own]
        assert own
        for name, prompts in (("imis_net", {"texts": texts}), ("sam_med2d", {"boxes": drawn})):
            lines = ask_picture(name, picture, tmp_path / picture.stem, weights=tmp_path, formula=True, **prompts)
            assert len(lines) == len(own) and all(MEANINGLESS in line for line in lines)
        for path in (tmp_path / picture.stem).glob("*.png"):
            with Image.open(path) as image:
                assert image.size == size and image.text["Comment"] == MEANINGLESS
