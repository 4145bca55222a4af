"""The plan from published numbers: the sums that the collections' pages give, and reasons for what is missing."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from semantiseg import params
from semantiseg.bench.ask import planning
from semantiseg.bench.ask.draw import REASONS
from semantiseg.bench.ask.planning import lines, plan
from semantiseg.bench.ask.questions import PER_LEVEL
from semantiseg.cli import main
from semantiseg.data.labels import BRATS2024, DECATHLON
from semantiseg.data.official.registry import CHALLENGES, DECATHLON_TASKS
from semantiseg.errors import ParameterError
from semantiseg.language.ontology import available


def test_the_labelled_channels_are_those_of_the_published_counts():
    """MSD 1,741 cases and 3,225 channels, KiTS23 489, BraTS 2024 without MET 2,438 cases and 8,252 channels."""
    tasks = plan("paper").tasks
    msd = [task for task in tasks if task.task in DECATHLON_TASKS]
    brats = [task for task in tasks if task.task in CHALLENGES]
    assert (sum(task.cases for task in msd), sum(task.present for task in msd)) == (1741, 3225)
    assert (sum(task.cases or 0 for task in brats), sum(task.present for task in brats)) == (2438, 8252)
    assert {task.task: task.present for task in tasks}["KiTS23"] == 489


def test_the_paper_misses_34_volumes_and_the_plan_says_why():
    planned = plan("paper")
    assert planned.volumes == 11_966 and planned.prompts == 11_966 * 9
    text = " ".join(lines(planned))
    assert "11,966 of 12,000" in text and "Missing 34" in text and "BraTS2024-MET" in text
    assert "at most 107,694 of 108,000" in text


def test_with_metastases_the_total_is_met_exactly_and_only_the_largest_task_gives_way():
    planned = plan("paper", cases={"BraTS2024-MET": 652})
    assert planned.volumes == 12_000 and planned.prompts == 108_000
    assert [task.task for task in planned.tasks if task.drawn < task.present] == ["BraTS2024-GLI"]
    assert {level: sum(task.core[level] for task in planned.tasks) for level in (1, 2, 3)} == dict.fromkeys(
        (1, 2, 3), 36_000
    )


def test_fewer_volumes_give_a_plan_in_proportion():
    planned = plan("paper", total=1000)
    assert planned.volumes == 1000 and planned.prompts == 9000
    assert "1,000 of 1,000" in " ".join(lines(planned))


def test_a_task_with_one_structure_has_no_absent_target_and_says_so():
    tasks = {task.task: task for task in plan("paper").tasks}
    assert tasks["Task09_Spleen"].suites["absent"] == 0 and "no absent target" in " ".join(tasks["Task09_Spleen"].notes)
    assert tasks["KiTS23"].suites["absent"] == round(489 * 0.2)


def test_mirrored_headers_and_crops_are_named():
    sideless = {task.task for task in plan("paper").tasks if any("left or right" in note for note in task.notes)}
    assert sideless == {
        "Task02_Heart",
        "Task04_Hippocampus",
        "Task05_Prostate",
        "Task07_Pancreas",
        "Task08_HepaticVessel",
    }


def test_no_volume_is_promised_more_than_its_nine():
    assert all(count <= PER_LEVEL * task.drawn for task in plan("paper").tasks for count in task.core.values())


def test_every_drawn_volumes_nine_are_planned_or_missing_for_a_reason():
    for task in plan("paper", cases={"BraTS2024-MET": 10}).tasks:
        assert sum(task.core.values()) + sum(task.short.values()) == 9 * task.drawn


def test_a_channel_that_shows_nothing_is_counted_by_the_reason_that_the_account_uses(monkeypatch):
    monkeypatch.setattr(
        planning, "available", lambda leaves, channel: [] if channel == "ADC" else available(leaves, channel=channel)
    )
    planned = plan("paper")
    task = {task.task: task for task in planned.tasks}["Task05_Prostate"]
    assert task.short == {"channel": 32 * 9} and f"channel: {REASONS['channel']}, ADC" in task.notes
    assert "Certainly missing 288, channel:" in " ".join(lines(planned))


def test_the_planned_profile_is_the_shipped_one():
    shipped = params.check(YAML(typ="safe").load(params.profile_text("paper")), origin="paper.yaml")
    profile = planning.PROFILES["paper"]
    assert (shipped.prompts.volumes_drawn, shipped.prepare.test_share) == (profile.volumes, profile.test_share)
    assert (shipped.prompts.volumes_per_task or None) == profile.cap


def test_the_registry_and_the_label_tables_know_the_same_collections():
    assert set(DECATHLON_TASKS) == set(DECATHLON)
    assert {name.removeprefix("BraTS2024-") for name in CHALLENGES} == set(BRATS2024)


def test_unknown_names_are_refused():
    with pytest.raises(ParameterError, match="expected a profile"):
        plan("papr")
    with pytest.raises(ParameterError, match="BraTS2024-METS"):
        plan("paper", cases={"BraTS2024-METS": 3})


def test_the_verb_prints_the_plan_and_checks_its_options():
    answer = CliRunner().invoke(main, ["plan", "--cases", "BraTS2024-MET=652"])
    assert answer.exit_code == 0 and "12,000 of 12,000" in answer.output
    assert "expected --cases COLLECTION=N" in CliRunner().invoke(main, ["plan", "--cases", "KiTS23"]).output
