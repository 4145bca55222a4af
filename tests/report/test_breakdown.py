"""Collapse figure, Table 2, gallery and variables: made from the metrics and answers of models with known habits."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semantiseg.data.split import few_patients
from semantiseg.errors import DataError
from semantiseg.evaluation.sensitivity import join
from semantiseg.paper import breakdown, gallery, style, table1
from semantiseg.recipes import recipe_of


@pytest.fixture(scope="module")
def metrics(cohort, results) -> dict:
    habits = {"scalar": "collapses", "token": "truth"}
    answers = {model: results[habit] for model, habit in habits.items()}
    return table1.summarise(cohort.prompts, answers, resamples=50, seed=0, profile="demo")


@pytest.fixture(scope="module")
def patients(cohort, results) -> pd.DataFrame:
    habits = {"scalar": "collapses", "token": "truth"}
    return breakdown.by_patient(
        {model: join(cohort.prompts, results[habit], origin=model) for model, habit in habits.items()}
    )


class TestCollapseFigure:
    def test_draws_every_model_at_its_dice_with_its_interval(self, metrics, patients) -> None:
        figure = breakdown.draw(metrics, patients)
        for axes, part in zip(figure.axes, ("core", "matched"), strict=True):
            assert [line.get_label() for line in axes.containers] == [
                recipe_of("token").label, recipe_of("scalar").label,
            ]  # fmt: skip
            for container, model in zip(axes.containers, ("token", "scalar"), strict=True):
                expected = [metrics["models"][model][part][f"l{level}"]["value"] for level in (1, 2, 3)]
                assert container.lines[0].get_ydata() == pytest.approx(expected)

    def test_every_patient_is_a_pale_point_beside_the_model_it_belongs_to(self, metrics, patients, cohort) -> None:
        core = patients[patients["part"] == "core"]
        asked = cohort.prompts.query("split == 'test' and suite == 'core' and phrasing == 'unseen'")
        assert len(core) == 2 * len(asked.drop_duplicates(["patient_id", "level"]))
        axes = breakdown.draw(metrics, patients).axes[0]
        points = np.concatenate([np.asarray(part.get_offsets()) for part in axes.collections if part.get_alpha()])
        assert sorted(points[:, 1].round(9)) == sorted(core["dice"].round(9))
        estimates = {round(x, 9) for box in axes.containers for x in box.lines[0].get_xdata()}
        assert {round(x, 9) for x in points[:, 0]} <= estimates

    def test_is_byte_stable_and_names_the_images(self, metrics, patients, tmp_path: Path) -> None:
        for name in ("one", "two"):
            style.save(breakdown.draw(metrics, patients), tmp_path / name)
        for suffix in (".png", ".pdf", ".svg"):
            assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()
        assert "phantoms" in breakdown.draw(metrics, patients).axes[0].get_ylabel()

    @pytest.mark.parametrize("count", [1, 19, 20])
    def test_says_where_few_patients_were_tested(self, metrics, patients, count) -> None:
        models = {name: summary | {"patients": count} for name, summary in metrics["models"].items()}
        figure = breakdown.draw(metrics | {"models": models}, patients)
        assert ((said := figure.get_supxlabel()) == "") == (count >= 20)
        assert said.replace("\n", " ") == few_patients(count)

    def test_without_a_patient_or_a_model_there_are_axes_and_no_point(self, metrics, cohort, results) -> None:
        nobody = breakdown.by_patient({"token": join(cohort.prompts, results["truth"], origin="token").iloc[:0]})
        assert len(nobody) == 0 and len(breakdown.by_patient({})) == 0
        for patients in (nobody, breakdown.by_patient({})):
            assert not breakdown.draw(metrics | {"models": {}}, patients).axes[0].collections

    def test_a_level_without_prompts_has_no_point(self, metrics, patients) -> None:
        none = {"value": None, "low": None, "high": None, "prompts": 0, "patients": 0}
        summary = metrics["models"]["token"]
        changed = metrics | {"models": {"token": summary | {"core": summary["core"] | {"l2": none}}}}
        assert len(breakdown.draw(changed, patients).axes[0].containers[0].lines[0].get_xdata()) == 2


class TestTable2:
    def test_holds_the_metrics_of_every_model_and_part(self, metrics, tmp_path: Path) -> None:
        frame = breakdown.write_table2(metrics, tmp_path)
        for row in frame.to_dict("records"):
            found = metrics["models"][row["model"]]["by"][row["breakdown"]][row["name"]]
            assert (row["dice"], row["prompts"]) == (found["value"], found["prompts"])
        assert set(frame["breakdown"]) == {"modality", "structure", "kind"}
        assert len(pd.read_csv(tmp_path / "table2.csv")) == len(frame)
        text = (tmp_path / "table2.md").read_text()
        assert "on phantoms" in text and "| Kind of prompt: exclusion |" in text
        assert (tmp_path / "table2.tex").read_text().count(r" \\") == text.count("\n| ")

    def test_a_truthful_model_has_dice_1_everywhere(self, metrics) -> None:
        frame = breakdown.table(metrics)
        assert (frame.loc[frame["model"] == "token", "dice"] == 1).all()


class TestGallery:
    def test_shows_the_worst_the_middle_and_the_best_of_each_level(self, cohort, results) -> None:
        answers = join(cohort.prompts, results["collapses"], origin="x")
        chosen = gallery.choose_answers(answers)
        core = answers[(answers["suite"] == "core") & (answers["phrasing"] == "unseen")]
        assert list(chosen.index) == [(level, rank) for level in (1, 2, 3) for rank in gallery.RANKS]
        for level in (1, 2, 3):
            dice = core.loc[core["level"] == level, "dice"].sort_values().to_numpy()
            expected = [dice[0], dice[(len(dice) - 1) // 2], dice[-1]]
            assert list(chosen.loc[level, "dice"]) == pytest.approx(expected)

    def test_ties_go_to_the_smaller_prompt_id_whatever_the_order_of_rows(self, cohort, results) -> None:
        answers = join(cohort.prompts, results["truth"], origin="x")
        shuffled = answers.sample(frac=1, random_state=3)
        assert list(gallery.choose_answers(answers)["prompt_id"]) == list(gallery.choose_answers(shuffled)["prompt_id"])
        core = answers[(answers["suite"] == "core") & (answers["level"] == 1)]
        assert gallery.choose_answers(answers).loc[(1, "worst"), "prompt_id"] == core["prompt_id"].min()

    def test_without_core_prompts_every_place_says_so(self, cohort, results) -> None:
        answers = join(cohort.prompts, results["truth"], origin="x")
        chosen = gallery.choose_answers(answers[answers["suite"] != "core"])
        assert not len(chosen) and chosen.index.names == ["level", "rank"]
        figure = gallery.draw({}, model="scalar", origin="phantoms", patients=20)
        said = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert said == ["no such prompt"] * 18

    def test_is_drawn_from_the_stages_files(self, cohort, tmp_path: Path) -> None:
        cohort.write(tmp_path, {"scalar": "collapses"})
        chosen, tiles = gallery.gather_tiles(tmp_path / "data", "scalar")
        assert {place: tile.dice for place, tile in tiles.items()} == pytest.approx(dict(chosen["dice"]))
        figure = gallery.draw(tiles, model="scalar", origin="phantoms", patients=20)
        assert "Images: phantoms" in [text.get_text() for text in figure.texts]
        assert "Only" not in figure.get_supxlabel()
        few = gallery.draw(tiles, model="scalar", origin="phantoms", patients=4)
        assert few.get_supxlabel().startswith("Only 4 test patients")

    def test_an_answer_that_is_not_stored_is_named(self, cohort, tmp_path: Path) -> None:
        cohort.write(tmp_path, {"scalar": "collapses"})
        path = tmp_path / "data/results/scalar/masks.parquet"
        chosen, _ = gallery.gather_tiles(tmp_path / "data", "scalar")
        lost = chosen["prompt_id"].iloc[0]
        table = pd.read_parquet(path)
        table[table["prompt_id"] != lost].to_parquet(path, index=False)
        with pytest.raises(DataError, match=f"answer to prompt {lost}.*evaluate@scalar"):
            gallery.gather_tiles(tmp_path / "data", "scalar")


class TestVariables:
    def test_every_number_of_the_metrics_has_one_name(self, metrics) -> None:
        def count(value: object) -> int:
            if isinstance(value, dict):
                return sum(map(count, value.values()))
            if isinstance(value, list):
                return sum(count(row) for row in value if isinstance(row, dict))
            return isinstance(value, int | float) and not isinstance(value, bool)

        found = breakdown.variables(metrics)
        assert len(found) == count(metrics)
        assert all(re.fullmatch("[A-Za-z]+", name) for name in found)
        headline = metrics["models"]["scalar"]["core"]["l3"]
        assert found["ScalarCoreLThree"]["value"] == headline["value"]
        assert found["ScalarCoreLThreeLow"]["value"] == headline["low"]

    def test_a_comparison_is_named_by_its_models_and_measure(self, metrics) -> None:
        row = next(row for row in metrics["comparisons"] if row["measure"] == "l3")
        name = "".join(part.capitalize() for part in (row["first"], "l", "three", row["second"]))
        found = breakdown.variables(metrics)[f"Comparisons{name.replace('Lthree', 'LThree')}Difference"]
        assert found["value"] == row["difference"]

    @pytest.mark.parametrize(
        ("place", "value", "text"),
        [
            ("models.token.core.l1.value", 0.8063, "0.81"),
            ("models.token.core.pss.value", 0.1884, "0.188"),
            ("models.token.collapse_rate.value", 0.2921, "29.2%"),
            ("bench.prompts", 108000, "108,000"),
        ],
    )
    def test_a_number_is_quoted_as_readers_expect(self, place: str, value: float, text: str) -> None:
        assert breakdown.as_quoted(place, value) == text

    def test_files_agree_and_latex_gets_its_per_cent_signs(self, metrics, tmp_path: Path) -> None:
        found = breakdown.write_variables(metrics, tmp_path)
        assert json.loads((tmp_path / "variables.json").read_text()) == found
        lines = (tmp_path / "variables.tex").read_text().splitlines()
        assert len(lines) == len(found)
        line = next(line for line in lines if line.startswith(r"\newcommand{\ScalarCollapseRate}"))
        assert re.fullmatch(r"\\newcommand\{\\ScalarCollapseRate\}\{[\d.]+\\%\} % models\.scalar\..*", line)

    def test_two_places_of_one_name_are_refused(self) -> None:
        with pytest.raises(ValueError, match="expected one place"):
            breakdown.variables({"models": {"a_b": {"x": 1.0}, "a": {"b_x": 1.0}}})
