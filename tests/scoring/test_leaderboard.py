from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from semantiseg.errors import DataError
from semantiseg.scoring import leaderboard


def number(value: float | None, *, spread: float = 0.05) -> dict[str, object]:
    low, high = (None, None) if value is None else (value - spread, value + spread)
    return {"value": value, "low": low, "high": high, "prompts": 10, "patients": 4}


def levels(first: float, third: float) -> dict[str, object]:
    pss = round((first - third) / first, 6)
    return {"l1": number(first), "l2": number(0.7), "l3": number(third), "pss": number(pss)} | {
        "difference": number(first - third)
    }


def submission(model: str = "M", *, third: float = 0.6) -> dict[str, object]:
    shares = ("collapse_rate", "paraphrase_worst", "counterfactual_response", "absent_rate", "nsd", "level_es")
    return {
        "schema_version": 2, "model": model, "trained_on": None, "tiny": False,
        "collections": {"KiTS23": "official"}, "prompting": "text", "link": "", "benchmark": "0123456789ab",
        "origins": ["phantom"], "prompts": 30, "patients": 4, "missing": 0, "nsd_tolerance_mm": 2.0, "resamples": 100,
        "seed": 0, "results_sha256": "0" * 64, "core": levels(0.8, third), "matched": levels(0.8, third),
        "seen": levels(0.9, 0.7), "hd95_mm": number(12.5),
        "l3_by_patient": {"a": {"dice": third, "prompts": 6}, "b": {"dice": third, "prompts": 4}},
    } | {name: number(0.5) for name in shares}  # fmt: skip


def write(folder: Path, name: str, content: dict[str, object]) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def test_submissions_are_ranked_by_the_hardest_level(tmp_path):
    for name, third in (("b", 0.5), ("a", 0.5), ("c", 0.7)):
        write(tmp_path, name, submission(name, third=third))
    found = leaderboard.read_all(tmp_path)
    assert [item.model for item in found] == ["c", "a", "b"]
    lines = leaderboard.markdown(found).splitlines()
    assert lines[0] == "### Not declared: training collections not declared; nothing is known"
    assert lines[4] == (
        "| 1 [1, 1] | c | text | 0.80 [0.75, 0.85] | 0.70 [0.65, 0.75] | 0.125 [0.075, 0.175] | 0.125 | 50.0% | 50.0% "
        "| 0 | 100% of resamples |"
    )


def test_folders_that_score_wrote_are_read_and_one_of_them_alone(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "summary", {"not": "a submission"})
        write(tmp_path / name, "submission", submission(name))
    assert [item.model for item in leaderboard.read_all(tmp_path)] == ["a", "b"]
    assert [item.model for item in leaderboard.read_all(tmp_path / "b")] == ["b"]


@pytest.mark.parametrize(
    ("trained_on", "collections", "expected"),
    [
        (None, {"KiTS23": "official"}, "not declared"),
        ([], {"KiTS23": "official"}, "zero-shot"),
        (["Task03_Liver"], {"KiTS23": "official"}, "zero-shot"),
        (["KiTS23:train"], {"KiTS23": "official"}, "training split"),
        (["KiTS23:train", "Task03_Liver"], {"KiTS23": "official", "Task03_Liver": "official"}, "contaminated"),
        (["KiTS23"], {"KiTS23": "phantom"}, "zero-shot"),
        (["KiTS23"], {"KiTS23": "phantom", "Task03_Liver": "official"}, "zero-shot"),
        (["KiTS23:train"], {"KiTS23": "phantom"}, "training split"),
    ],
)
def test_what_a_model_may_have_seen_follows_from_what_it_declares(trained_on, collections, expected):
    item = submission() | {"trained_on": trained_on, "collections": collections}
    assert leaderboard.Submission.model_validate(item).exposure == expected


def test_zero_shot_and_contaminated_models_are_ranked_apart():
    items = [
        leaderboard.Submission.model_validate(submission(name, third=third) | {"trained_on": seen})
        for name, third, seen in (("seen", 0.79, ["KiTS23"]), ("new", 0.6, ["Other"]), ("split", 0.5, ["KiTS23:train"]))
    ]
    text = leaderboard.markdown(items)
    heads = [line.partition(":")[0] for line in text.splitlines() if line.startswith("#")]
    assert heads == ["### Zero-shot", "### Training split", "### Contaminated"]
    assert all(f"| 1 [1, 1] | {name} |" in text for name in ("new", "split", "seen"))


def by_patient(model: str, dice: dict[str, float]) -> leaderboard.Submission:
    mean = sum(dice.values()) / len(dice)
    item = submission(model) | {"l3_by_patient": {name: {"dice": one, "prompts": 1} for name, one in dice.items()}}
    item["core"] = levels(0.8, mean)
    item["core"]["l3"]["prompts"] = len(dice)
    return leaderboard.Submission.model_validate(item)


def test_an_order_that_every_patient_confirms_holds_in_every_resample_and_a_tie_in_none():
    better = {f"p{place}": 0.5 + place / 100 for place in range(8)}
    first, second = by_patient("a", better), by_patient("b", {name: dice - 0.01 for name, dice in better.items()})
    stands = leaderboard.standings([first, second, by_patient("c", dict(second_dice(second)))])
    assert [(one.rank, one.low, one.high) for one in stands] == [(1, 1, 1), (2, 2, 2), (3, 2, 2)]
    assert [one.ahead for one in stands] == [1.0, 0.0, None]


def second_dice(item: leaderboard.Submission) -> list[tuple[str, float]]:
    return [(name, patient.dice) for name, patient in item.l3_by_patient.items()]


def test_the_share_of_resamples_is_that_of_all_draws_counted_by_hand():
    # Two patients, drawn as (2, 0), (1, 1), (0, 2) with chances 1/4, 1/2, 1/4: a leads where p0 is drawn at least once.
    first, second = by_patient("a", {"p0": 0.9, "p1": 0.2}), by_patient("b", {"p0": 0.3, "p1": 0.3})
    stands = leaderboard.standings([first, second], resamples=20000)
    assert stands[0].ahead == pytest.approx(0.75, abs=0.01)
    assert (stands[0].low, stands[0].high, stands[1].low, stands[1].high) == (1, 2, 1, 2)


def changed(*path: str, to: object):
    content = copy.deepcopy(submission())
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return content


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (changed("schema_version", to=1), "schema_version"),
        (changed("l3_by_patient", "a", "dice", to=0.9), "expected 10 prompts of mean 0.6, as core.l3"),
        (changed("benchmark", to="latest"), "benchmark"),
        (changed("praise", to="much"), "praise"),
        (changed("core", "l1", "value", to=1.2), "core.l1"),
        (changed("core", "l1", "low", to=0.99), "core.l1"),
        (changed("core", "l1", "high", to=None), "core.l1"),
        (changed("core", "pss", "value", to=0.05), r"core: .*expected \(l1 - l3\) / l1 = 0.25"),
        (changed("missing", to=30), "expected fewer than 30"),
        (changed("origins", to=[]), "origins"),
        ({name: item for name, item in submission().items() if name != "matched"}, "matched"),
    ],
)
def test_what_breaks_the_schema_is_named(tmp_path, content, place):
    path = write(tmp_path, "m", content)
    with pytest.raises(DataError, match=f"{path}: expected a submission of schema 2, got at .*{place}"):
        leaderboard.read(path)


def test_a_board_holds_each_model_once_and_one_benchmark(tmp_path):
    with pytest.raises(DataError, match="got 0"):
        leaderboard.read_all(tmp_path)
    write(tmp_path, "a", submission("same"))
    write(tmp_path, "b", submission("same"))
    with pytest.raises(DataError, match=r"repeated \['same'\]"):
        leaderboard.read_all(tmp_path)
    write(tmp_path, "b", submission("other") | {"benchmark": "f" * 12})
    with pytest.raises(DataError, match="versions"):
        leaderboard.read_all(tmp_path)


def test_a_name_cannot_break_the_table_or_smuggle_markup_in():
    item = leaderboard.Submission.model_validate(submission("a|b\n<b>[x](y)"))
    assert len(leaderboard.markdown([item]).splitlines()) == 5
    assert leaderboard.markdown([item]).splitlines()[4].split(" | ")[1] == r"a\|b &lt;b>[x\](y)"
