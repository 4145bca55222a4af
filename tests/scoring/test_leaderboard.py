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
        "schema_version": 1, "model": model, "prompting": "text", "link": "", "benchmark": "0123456789ab",
        "origins": ["phantom"], "prompts": 30, "patients": 4, "missing": 0, "nsd_tolerance_mm": 2.0, "resamples": 100,
        "seed": 0, "results_sha256": "0" * 64, "core": levels(0.8, third), "matched": levels(0.8, third),
        "seen": levels(0.9, 0.7), "hd95_mm": number(12.5),
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
    assert (
        lines[2]
        == "| c | text | 0.80 [0.75, 0.85] | 0.70 [0.65, 0.75] | 0.125 [0.075, 0.175] | 0.125 | 50.0% | 50.0% | 0 |"
    )


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
        (changed("schema_version", to=2), "schema_version"),
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
    with pytest.raises(DataError, match=f"{path}: expected a submission of schema 1, got at .*{place}"):
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
    assert len(leaderboard.markdown([item]).splitlines()) == 3
    assert leaderboard.markdown([item]).splitlines()[2].split(" | ")[0] == r"| a\|b &lt;b>[x\](y)"
