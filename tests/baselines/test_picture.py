"""Pictures as the baselines take them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from semantiseg.baselines.baseline import as_picture, read_picture, slice_picture
from semantiseg.errors import DataError, ModelError

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def test_grey_rgb_palette_and_alpha_files_give_the_same_rgb_picture(tmp_path):
    grey = Image.fromarray(GREY)
    for name, image in {
        "grey": grey,
        "rgb": grey.convert("RGB"),
        "palette": grey.convert("P"),
        "alpha": grey.convert("LA"),
        "rgba": grey.convert("RGBA"),
    }.items():
        image.save(tmp_path / f"{name}.png")
        picture = read_picture(tmp_path / f"{name}.png")
        assert picture.dtype == np.uint8 and (picture == GREY[:, :, None]).all() and picture.shape == (3, 4, 3), name


def test_colours_keep_their_order(tmp_path):
    colours = np.zeros((2, 2, 3), dtype=np.uint8)
    colours[..., 0] = 200
    Image.fromarray(colours).save(tmp_path / "red.png")
    assert (read_picture(tmp_path / "red.png") == colours).all()


def test_sixteen_bits_are_stretched_over_their_own_range(tmp_path):
    wide = np.array([[1000, 1255], [1510, 3550]], dtype=np.uint16)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    expected = np.array([[0, 26], [51, 255]])  # (value - 1000) / 10, rounded to even
    assert (np.abs(read_picture(tmp_path / "wide.png")[:, :, 0].astype(int) - expected) <= 1).all()
    assert (as_picture(wide) == read_picture(tmp_path / "wide.png")).all()


def test_a_flat_sixteen_bit_picture_is_black():
    assert not as_picture(np.full((2, 2), 900, dtype=np.uint16)).any()


def test_a_slice_is_turned_to_radiological_convention():
    stored = np.zeros((4, 5), dtype=np.float32)
    stored[3, 0] = 1  # most anterior row, the patient's left: up and on the right for a radiologist
    picture = slice_picture(stored)
    assert picture[0, 4].tolist() == [255, 255, 255] and picture.sum() == 3 * 255


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((4, 4, 4), np.uint8), r"\[4, 4, 4\]"),
        (np.zeros((0, 4), np.uint8), r"\[0, 4\]"),
        (np.zeros((2, 2), np.int64), "int64"),
        (np.full((2, 2), -120.0), "-120.0"),
        (np.full((2, 2), np.nan), "nan"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(pixels, said):
    with pytest.raises(ModelError, match=said):
        as_picture(pixels)


def test_a_volume_is_not_a_slice():
    with pytest.raises(ModelError, match="one slice"):
        slice_picture(np.zeros((3, 4, 5)))


def test_a_truncated_file_and_none_are_refused(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:900])
    for name in ("cut.png", "none.png"):
        with pytest.raises(DataError, match=name):
            read_picture(tmp_path / name)


def test_formats_that_hold_more_than_sixteen_bits_are_refused_and_never_wrapped(tmp_path):
    Image.fromarray(np.array([[0, 70_000]], dtype=np.int32)).save(tmp_path / "deep.tiff")
    with pytest.raises(DataError, match="expected a complete PNG or JPEG"):
        read_picture(tmp_path / "deep.tiff")
