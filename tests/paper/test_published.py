from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantiseg.errors import DataError
from semantiseg.paper import published, style

SOURCE = Path(__file__).parents[3] / "shared/reference/published_dice.csv"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return published.read_published()


@pytest.mark.skipif(not SOURCE.is_file(), reason="the source is kept beside the repository, in ../shared")
def test_the_figures_are_those_of_the_source() -> None:
    assert published.TABLE.read_bytes() == SOURCE.read_bytes()


def test_one_target_under_two_names_is_counted_once(frame: pd.DataFrame) -> None:
    assert list(frame.loc[frame["collection"] == "kits23", "target"]) == ["kidney cyst", "kidney tumor", "kidney"]


def test_expected_dice_by_hand() -> None:
    table = pd.DataFrame(
        {
            "collection": ["Task01_A", "b"],
            "target": ["organ", "lesion"],
            "slices": [30, 10],
            "biomedparse_mean": [0.9, 0.5],
            "biomedparse_median": [1.0, 0.8],
            "sam_oracle_box_mean": [0.4, 0.6],
        }
    )
    found = published.expected_dice(table, "biomedparse")
    assert (found.mean, found.median, found.slice_mean) == pytest.approx((0.7, 0.9, 0.8))
    assert found.lowest == (0.5, "lesion (b)") and found.highest == (0.9, "organ (A)")
    assert published.expected_dice(table, "sam_oracle_box").median is None


def test_text_boxes_lose_most_of_what_oracle_boxes_give(frame: pd.DataFrame) -> None:
    table = published.expectations(frame)["mean of targets"]
    assert table[published.NAMES["medsam_text_box"]] < 0.2 * table[published.NAMES["medsam_oracle_box"]]


@given(st.floats(0.001, 1))
def test_share_and_dice_of_a_nested_answer_are_inverse(share: float) -> None:
    assert published.share_for_dice(published.nested_dice(share)) == pytest.approx(share)


def test_nested_dice_is_the_dice_of_masks() -> None:
    whole = np.zeros((10, 10), dtype=bool)
    whole[:, :8] = True
    part = np.zeros_like(whole)
    part[:, :2] = True
    assert published.nested_dice(0.25) == pytest.approx(2 * (whole & part).sum() / (whole.sum() + part.sum()))


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(DataError, match=r"in \(0, 1\]"):
        published.nested_dice(share)
    with pytest.raises(DataError, match=r"in \(0, 1\]"):
        published.share_for_dice(share)


def test_a_target_that_was_not_published_is_named(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="'brain' of kits23"):
        published.target(frame, "kits23", "brain")


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda frame: frame.drop(columns="slices"), r"got none named \['slices'\]"),
        (lambda frame: frame.assign(biomedparse_mean=93.0), "between 0 and 1"),
        (lambda frame: frame.assign(sam_text_box_mean=np.nan), "between 0 and 1"),
    ],
)
def test_a_damaged_table_is_refused(frame: pd.DataFrame, change, names: str, tmp_path: Path) -> None:
    change(frame).to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(DataError, match=names):
        published.read_published(tmp_path / "table.csv")
    with pytest.raises(DataError, match="Restore it from Git"):
        published.read_published(tmp_path / "none.csv")


def test_the_figure_is_byte_stable_and_shows_every_target(frame: pd.DataFrame, tmp_path: Path) -> None:
    figures = [published.draw(frame, printed=0.85) for _ in range(2)]
    for number, figure in enumerate(figures):
        style.save(figure, tmp_path / str(number))
    assert [label.get_text() for label in figures[0].axes[0].get_yticklabels()].count("kidney (kits23)") == 1
    assert len(figures[0].axes[0].get_yticks()) == len(frame)
    assert (tmp_path / "0.svg").read_bytes() == (tmp_path / "1.svg").read_bytes()
