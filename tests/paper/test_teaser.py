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
    answers = {name: tile(3) for name in ("printed gate", "token gate", "SemantiSeg")}
    made = teaser.Panels(answers=answers, origin="phantoms", note="Chosen by rule.", caption="All of it.")
    return dataclasses.replace(made, **changes)


def words_of(figure) -> str:
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text))


class TestChoice:
    def test_the_case_is_the_median_gain_and_neither_the_best_nor_the_worst(self, cohort, results) -> None:
        prompts = cohort.prompts
        third = prompts[(prompts["suite"] == "core") & (prompts["level"] == 3) & (prompts["split"] == "test")]
        names = sorted(third[third["phrasing"] == "unseen"]["prompt_id"])
        printed = results["collapses"].assign(parent_differs=True, dice=0.5)
        whole = results["truth"].assign(dice=0.5)
        for number, name in enumerate(reversed(names)):
            whole.loc[whole["prompt_id"] == name, "dice"] = 0.5 + 0.01 * number
        case = teaser.choose_case(prompts, {"semantiseg": whole, "token": whole, "scalar": printed, "box": printed})
        assert case.prompt_id == names[len(names) // 2] and case.models == ("scalar", "token", "semantiseg")
        assert f"of {len(names)} level-3 test prompts" in case.rule
        assert f"{0.01 * ((len(names) - 1) // 2):+.2f}" in case.rule

    def test_ties_do_not_depend_on_row_order(self, cohort, results) -> None:
        models = {"scalar": results["collapses"]}
        turned = {"scalar": results["collapses"].iloc[::-1]}
        assert teaser.choose_case(cohort.prompts, models) == teaser.choose_case(cohort.prompts.iloc[::-1], turned)

    def test_without_level_3_the_highest_level_is_shown_and_said(self, cohort, results) -> None:
        first = cohort.prompts[cohort.prompts["level"] == 1]
        kept = results["truth"][results["truth"]["prompt_id"].isin(first["prompt_id"])]
        case = teaser.choose_case(first, {"token": kept})
        assert (case.level, case.models) == (1, ("token",)) and "none of level 3" in case.rule
        assert "One sentence of level 1 on phantoms" in teaser.teaser_caption(case, "phantoms")
        assert teaser.teaser_caption(case, "phantoms", few="Only 4 test patients.").endswith("Only 4 test patients.")

    def test_without_a_test_patient_nothing_is_shown_and_said(self, cohort, results) -> None:
        case = teaser.choose_case(cohort.prompts.assign(split="train"), {"token": results["truth"].iloc[:0]})
        assert case.prompt_id == ""
        assert teaser.teaser_caption(case, "") == "Nothing to show: no core prompt was asked about a test patient."


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

    def test_the_sentence_each_answer_and_the_rule_are_written_on_it_in_letters_that_a_phone_shows(self) -> None:
        from matplotlib.text import Text

        figure = teaser.draw(panels())
        words = words_of(figure)
        for expected in ("Images: phantoms", "Chosen by rule.", "sparing the cyst", "SemantiSeg: Dice 0.40"):
            assert expected in words
        # At 390 pixels a point is 390 / (72 x 4.2) pixels.
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()]
        assert min(sizes) * 390 / (72 * figure.get_size_inches()[0]) >= 7.5

    def test_models_that_were_not_trained_and_a_figure_of_nothing_say_so(self) -> None:
        assert words_of(teaser.draw(panels(answers={"token gate": tile(3)}))).count("not trained") == 2
        words = words_of(teaser.draw(panels(answers={}, note="Nothing to show.")))
        assert "no such prompt" in words and "Nothing to show." in words

    def test_nothing_drawn_lies_outside_the_window(self) -> None:
        one = tile(1, side=60)
        answer = np.zeros((60, 60), dtype=bool)
        answer[55:59, 3:6] = True
        rows, columns = gallery.crop_of([dataclasses.replace(one, answer=answer)])
        assert answer[rows, columns].sum() == answer.sum() and one.parent[rows, columns].sum() == one.parent.sum()


def test_the_figure_is_made_from_the_stages_files(cohort, tmp_path: Path) -> None:
    cohort.write(tmp_path, {"token": "truth", "scalar": "collapses"})
    case, shown = teaser.gather_panels(tmp_path / "data", ["token", "scalar"])
    assert shown.origin == "phantoms" and "phantoms" in shown.caption and case.prompt_id in shown.caption
    first, last = shown.answers.values()
    assert (first.answer == first.parent).all() and last.dice == 1.0
    assert list(shown.answers) == ["Printed scalar gate (Eq. 2)", "Token gate"]
    results = pd.read_parquet(tmp_path / "data" / "results" / "scalar" / "results.parquet").set_index("prompt_id")
    results["dice"] -= 0.123
    results.reset_index().to_parquet(tmp_path / "data" / "results" / "scalar" / "results.parquet", index=False)
    with pytest.raises(DataError, match="evaluate@scalar"):
        teaser.gather_panels(tmp_path / "data", ["token", "scalar"])
