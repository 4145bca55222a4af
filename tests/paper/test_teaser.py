from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semantiseg.errors import DataError
from semantiseg.paper import gallery, style, teaser


def tile(level: int, *, gate: bool = True, side: int = 24) -> gallery.Tile:
    image = np.random.default_rng(level).random((side, side)).astype(np.float32)
    truth, parent = np.zeros((2, side, side), dtype=bool)
    parent[6:18, 4:20], truth[8:12, 6:10] = True, True
    return gallery.Tile(
        text="renal mass, sparing the cyst",
        level=level,
        image=image,
        truth=truth,
        parent=parent,
        answer=parent,
        dice=0.4,
        gate=image if gate else None,
    )


def panels(**changes) -> teaser.Panels:
    made = teaser.Panels(
        plain=tile(3),
        plain_name="plain",
        by_level={level: tile(level) for level in (1, 2, 3)},
        gated_name="gated",
        origin="phantoms",
        collapsed=True,
        caption="Chosen by rule.",
    )
    return dataclasses.replace(made, **changes)


def words_of(figure) -> str:
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text))


class TestChoice:
    def test_the_exclusion_that_collapsed_furthest_is_chosen(self, cohort, results) -> None:
        case = teaser.choose_case(cohort.prompts, {"token": results["truth"], "scalar": results["collapses"]})
        scored = results["collapses"].merge(cohort.prompts[["prompt_id", "suite", "kind"]], on="prompt_id")
        scored = scored[(scored["suite"] == "core") & (scored["kind"] == "exclusion")]
        # The parent answers with Dice 1 of itself, so the lowest Dice with the target is the furthest.
        assert case.prompt_id == scored.sort_values(["dice", "prompt_id"])["prompt_id"].iloc[0]
        assert (case.plain, case.gated, case.collapsed) == ("scalar", "token", True)
        volume = cohort.prompts.set_index("prompt_id").loc[list(case.by_level.values())]
        assert volume["volume_id"].nunique() == 1 and list(volume["level"]) == [1, 2, 3]
        assert "12 asked" not in case.rule and "those with an exclusion and collapsed" in case.rule

    def test_the_necrotic_core_goes_first(self, cohort, results) -> None:
        prompts = cohort.prompts.copy()
        named = "v03-03"  # a side prompt, not an exclusion
        prompts.loc[prompts["prompt_id"] == named, "program"] = "part(necrotic_core)"
        case = teaser.choose_case(prompts, {"scalar": results["collapses"]})
        assert case.prompt_id == named and "about the necrotic core" in case.rule

    def test_without_a_collapse_the_lowest_dice_is_shown_and_said_so(self, cohort, results) -> None:
        scored = results["truth"].copy()
        scored.loc[scored["prompt_id"] == "v02-03", "dice"] = 0.6
        case = teaser.choose_case(cohort.prompts, {"scalar": scored, "token": results["truth"]})
        assert (case.prompt_id, case.collapsed) == ("v02-03", False)
        assert "no level-3 test prompt collapsed" in case.rule
        caption = teaser.teaser_caption(case, "phantoms", patients=4)
        assert "worst answer" in caption and "Only 4 test patients" in caption

    def test_ties_do_not_depend_on_row_order(self, cohort, results) -> None:
        models = {"scalar": results["collapses"]}
        turned = {"scalar": results["collapses"].iloc[::-1]}
        assert teaser.choose_case(cohort.prompts, models) == teaser.choose_case(cohort.prompts.iloc[::-1], turned)

    def test_a_volume_without_other_levels_leaves_them_open(self, cohort, results) -> None:
        third = cohort.prompts[(cohort.prompts["suite"] == "core") & (cohort.prompts["level"] == 3)]
        kept = results["parent"][results["parent"]["prompt_id"].isin(third["prompt_id"])]
        case = teaser.choose_case(third, {"token": kept})
        assert case.by_level[1] is None and case.by_level[2] is None and (case.plain, case.gated) == ("token", "token")

    def test_without_level_3_the_worst_of_the_highest_level_is_shown_and_said(self, cohort, results) -> None:
        first = cohort.prompts[cohort.prompts["level"] == 1]
        kept = results["truth"][results["truth"]["prompt_id"].isin(first["prompt_id"])].copy()
        core = first[(first["suite"] == "core") & (first["split"] == "test") & (first["phrasing"] == "unseen")]
        worst = core["prompt_id"].max()
        kept.loc[kept["prompt_id"] == worst, "dice"] = 0.2
        case = teaser.choose_case(first, {"token": kept})
        assert (case.prompt_id, case.level, case.collapsed) == (worst, 1, False)
        assert case.by_level == {1: worst, 2: None, 3: None}
        caption = teaser.teaser_caption(case, "phantoms", patients=30)
        assert "no level-3 test prompt" in case.rule and "Asked at level 1" in caption and "Only" not in caption

    def test_without_a_test_patient_nothing_is_shown_and_said(self, cohort, results) -> None:
        nobody = cohort.prompts.assign(split="train")
        case = teaser.choose_case(nobody, {"token": results["truth"].iloc[:0]})
        assert (case.prompt_id, case.by_level) == ("", {1: None, 2: None, 3: None})
        assert (
            teaser.teaser_caption(case, "", patients=0)
            == "Nothing to show: no core prompt was asked about a test patient."
        )


class TestDrawing:
    def test_two_renders_are_equal_byte_by_byte(self, tmp_path: Path) -> None:
        for folder in ("one", "two"):
            style.save(teaser.draw(panels()), tmp_path / folder / "fig1")
        for suffix in ("png", "pdf", "svg"):
            first, second = ((tmp_path / folder / f"fig1.{suffix}").read_bytes() for folder in ("one", "two"))
            assert first == second and len(first) > 1000

    def test_it_does_not_depend_on_the_users_settings(self, tmp_path: Path) -> None:
        import matplotlib as mpl

        style.save(teaser.draw(panels()), tmp_path / "plain")
        with mpl.rc_context({"font.size": 20, "savefig.dpi": 10, "image.cmap": "jet", "figure.facecolor": "red"}):
            style.save(teaser.draw(panels()), tmp_path / "changed")
        assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "changed.png").read_bytes()

    def test_origin_rule_and_prompts_are_written_on_it(self) -> None:
        words = words_of(teaser.draw(panels()))
        for expected in (
            "Images: phantoms",
            "Chosen by rule.",
            "sparing\nthe cyst",
            "Dice 0.40",
            "Semantic collapse",
        ):
            assert expected in words

    def test_gaps_are_named(self) -> None:
        words = words_of(teaser.draw(panels(by_level={1: None, 2: None, 3: tile(3, gate=False)}, collapsed=False)))
        for expected in ("no such prompt", "this model has no gate", "None collapsed"):
            assert expected in words

    def test_a_figure_of_nothing_has_its_panels_and_its_reason(self) -> None:
        empty = dataclasses.replace(panels(), plain=None, by_level=dict.fromkeys((1, 2, 3)), caption="Nothing to show.")
        words = words_of(teaser.draw(empty))
        assert "no such prompt" in words and "Nothing to show." in words

    def test_nothing_drawn_lies_outside_the_window(self) -> None:
        one = tile(1, side=60)
        answer = np.zeros((60, 60), dtype=bool)
        answer[55:59, 3:6] = True
        rows, columns = gallery.crop_of([dataclasses.replace(one, answer=answer)])
        assert answer[rows, columns].sum() == answer.sum() and one.parent[rows, columns].sum() == one.parent.sum()


def test_the_figure_is_made_from_the_stages_files(cohort, save_tiny_model, tmp_path: Path) -> None:
    from semantiseg.models.text import write_features

    cohort.write(tmp_path, {"token": "truth", "scalar": "collapses"})
    save_tiny_model(tmp_path / "data" / "models" / "token")
    write_features(tmp_path / "data" / "text" / "features.h5", list(cohort.prompts["text"]))
    case, shown = teaser.gather_panels(tmp_path / "data", ["token", "scalar"], threads=1)
    assert shown.origin == "phantoms" and "phantoms" in shown.caption
    assert (shown.plain.answer == shown.plain.parent).all() and shown.by_level[3].dice == 1.0
    assert shown.by_level[3].gate.shape == (40, 48) and case.prompt_id in shown.caption
    results = pd.read_parquet(tmp_path / "data" / "results" / "scalar" / "results.parquet").set_index("prompt_id")
    assert results.loc[case.prompt_id, "collapsed"]
    results.loc[case.prompt_id, "dice"] = 0.123
    results.reset_index().to_parquet(tmp_path / "data" / "results" / "scalar" / "results.parquet", index=False)
    with pytest.raises(DataError, match="evaluate@scalar"):
        teaser.gather_panels(tmp_path / "data", ["token", "scalar"], threads=1)
