"""The account adds up: what is wanted is made or missing, and every missing prompt has its reason."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from semantiseg.bench.ask import draw
from semantiseg.bench.ask.candidates import core_goals
from semantiseg.bench.build import make_candidates, verify_candidates
from semantiseg.bench.tables import PLANNED_COLUMNS, account, totals
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError

MANIFEST = pd.DataFrame({"collection": ["A", "A", "A", "B"]}, index=["a1:CT", "a2:CT", "a3:CT", "b1:T1"])


def goal(volume_id: str, suite: str, level: int, wanted: int, **reasons: int) -> dict:
    collection = volume_id[0].upper()
    planned = wanted - sum(reasons.values())
    row = (volume_id, collection, "test", suite, level, wanted, planned, json.dumps(reasons))
    return dict(zip(PLANNED_COLUMNS, row, strict=True))


PLANNED = pd.DataFrame(
    [goal("a1:CT", "core", level, 3) for level in (1, 2, 3)]
    + [goal("a2:CT", "core", 1, 3, balance=2), goal("a2:CT", "core", 2, 3, balance=2),
       goal("a2:CT", "core", 3, 3, composition=2), goal("a2:CT", "triple", 0, 3, triple=3),
       goal("a1:CT", "counterfactual", 0, 2), goal("a1:CT", "absent", 0, 1)]
)  # fmt: skip


def prompts(*counts: tuple[str, str, int, int]) -> pd.DataFrame:
    rows = [(volume_id, suite, level) for volume_id, suite, level, count in counts for _ in range(count)]
    return pd.DataFrame(rows, columns=["volume_id", "suite", "level"])


def rejected(*rows: tuple[str, str, str, int, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["prompt_id", "volume_id", "suite", "level", "reason"])


def refused(prompt_id: str, suite: str, level: int, *reasons: str) -> list[tuple[str, str, str, int, str]]:
    """A candidate of a1 that four texts could not save, unless fewer reasons are given."""
    return [(prompt_id, "a1:CT", suite, level, f"{reason}: why") for reason in reasons]


MADE = prompts(("a1:CT", "core", 1, 2), ("a1:CT", "core", 2, 2), ("a1:CT", "core", 3, 2), ("a2:CT", "core", 1, 1),
               ("a2:CT", "core", 2, 1), ("a2:CT", "core", 3, 1), ("a1:CT", "absent", 1, 1))  # fmt: skip
REJECTED = rejected(
    *refused("p1", "core", 3, "side", "side", "mask", "side"),  # dropped
    *refused("p2", "core", 2, "mask", "mask"),  # reworded, then kept
    ("p3", "a1:CT", "core", 1, "balance: another level"), ("p4", "a1:CT", "core", 2, "balance: another level"),
    *refused("p5", "counterfactual", 3, *["mask"] * 4), ("p6", "a1:CT", "counterfactual", 3, "group: another prompt"),
    *refused("p7", "training", 3, *["mask"] * 5), *refused("p8", "reserve", 1, *["mask"] * 4),
)  # fmt: skip


def counted(made: pd.DataFrame = MADE, lost: pd.DataFrame = REJECTED) -> pd.DataFrame:
    return pd.DataFrame(account(MANIFEST, PLANNED, made, lost))


def test_what_is_wanted_is_made_or_missing_for_a_reason_in_every_task_and_level():
    rows = counted()
    assert (rows.wanted == rows.made + rows.short).all()
    assert [sum(json.loads(reasons).values()) for reasons in rows.reasons] == list(rows.short)
    core = rows[(rows.collection == "A") & (rows.suite == "core")]
    assert list(core.wanted) == [6, 6, 6] and list(core.made) == [3, 3, 3]
    assert set(core.present) == {3} and set(core.drawn) == {2}


def test_reasons_are_counted_by_code_and_what_was_reworded_or_is_no_goal_is_none():
    rows = counted().set_index(["collection", "suite", "level"]).reasons.map(json.loads).to_dict()
    assert rows["A", "core", 1] == rows["A", "core", 2] == {"balance": 3}
    assert rows["A", "core", 3] == {"composition": 2, "side": 1}
    assert rows["A", "counterfactual", 0] == {"group": 1, "mask": 1}
    assert rows["A", "triple", 0] == {"triple": 3} and rows["A", "absent", 0] == {}


def test_a_collection_that_nothing_was_drawn_from_is_shown_with_zeros():
    rows = counted()
    undrawn = rows[rows.collection == "B"]
    assert list(undrawn.level) == [1, 2, 3] and undrawn[["drawn", "wanted", "made", "short"]].to_numpy().sum() == 0


def test_a_refused_candidate_that_the_reserve_replaced_is_no_loss():
    made = pd.concat([MADE, prompts(*(("a1:CT", "core", level, 1) for level in (1, 2, 3)))])
    lost = REJECTED[REJECTED.prompt_id.isin(["p1", "p5", "p6"])]
    rows = counted(made, lost).set_index(["collection", "suite", "level"])
    assert json.loads(rows.loc[("A", "core", 3), "reasons"]) == {"composition": 2}


def test_a_loss_without_reason_and_a_prompt_that_nobody_planned_are_refused():
    with pytest.raises(DataError, match="a1:CT, suite core: expected a reason for each of 1 missing"):
        counted(lost=REJECTED[REJECTED.prompt_id != "p1"])
    with pytest.raises(DataError, match="expected prompts that were planned, got .*a3:CT"):
        counted(made=pd.concat([MADE, prompts(("a3:CT", "core", 1, 1))]))


def test_totals_are_the_sums_over_the_collections():
    rows = totals(counted())
    assert rows.wanted.sum() == 24 and rows.short.sum() == counted().short.sum()
    assert json.loads(rows[(rows.suite == "core") & (rows.level == 3)].reasons.item()) == {"composition": 2, "side": 1}


class Seen:
    volume_id = "v"
    facts = {"collection": "A", "split": "test"}
    structures = askable = ("one",)


@pytest.mark.parametrize(
    ("found", "planned", "reasons"),
    [
        ((9, 9, 9), 3, [{}, {}, {}]),
        ((9, 2, 9), 2, [{"balance": 1}, {"description": 1}, {"balance": 1}]),
        ((9, 2, 0), 0, [{"balance": 3}, {"balance": 2, "description": 1}, {"composition": 3}]),
        ((0, 0, 0), 0, [{"size": 3}] * 3),
        ((9, 9, 9), 2, [{"words": 1}] * 3),
    ],
)
def test_each_level_lacks_its_own_or_is_kept_as_low_as_another(found, planned, reasons):
    rows = core_goals(Seen(), dict(zip((1, 2, 3), found, strict=True)), dict.fromkeys((1, 2, 3), planned))
    assert [json.loads(row["reasons"]) for row in rows] == reasons
    assert [row["planned"] for row in rows] == [planned] * 3


def test_all_that_is_short_before_verification_has_a_sentence():
    with pytest.raises(KeyError):
        draw.reason("no such code")
    assert draw.code_of(draw.reason("size", "T1")) == "size"


@pytest.fixture(scope="module")
def built(volumes, tmp_path_factory):
    out = tmp_path_factory.mktemp("account")
    made = make_candidates(volumes, out, minimum_pixels=16, slices_per_volume=1, texts_per_question=2, seed=1,
                           volumes_drawn=6, workers=1)  # fmt: skip
    return made, verify_candidates(volumes, out, out, seed=1, workers=1)


def test_the_account_of_a_built_bench_adds_up_to_its_tables(built, volumes):
    made, bench = built
    rows = bench.account
    assert (rows.wanted == rows.made + rows.short).all() and rows.made.sum() == len(bench.prompts)
    core = rows[rows.suite == "core"]
    with VolumeStore(volumes) as store:
        assert (
            core.groupby("collection").present.first().to_dict() == store.manifest.collection.value_counts().to_dict()
        )
    assert core.groupby("collection").drawn.first().sum() == len(made.drawn) == 6
    assert (core.wanted == 3 * core.drawn).all()
    colon = core[core.collection == "Task10_Colon"]
    assert [json.loads(reasons) for reasons in colon.reasons] == [{"size": 3}] * 3
    known = set(draw.REASONS) | {draw.code_of(reason) for reason in bench.rejected.reason}
    assert {code for reasons in rows.reasons for code in json.loads(reasons)} <= known
    assert (made.planned.groupby("suite").wanted.sum()).sum() == rows.wanted.sum()


def test_only_drawn_volumes_are_asked_about_and_each_as_if_all_were(built, volumes, tmp_path):
    made, bench = built
    assert set(bench.prompts.volume_id) | set(bench.training.volume_id) <= set(made.drawn)
    every = make_candidates(volumes, tmp_path, minimum_pixels=16, slices_per_volume=1, texts_per_question=2, seed=1,
                            workers=1)  # fmt: skip
    assert len(every.drawn) == 8
    same = every.prompts[every.prompts.volume_id.isin(made.drawn)]
    pd.testing.assert_frame_equal(same.reset_index(drop=True), made.prompts)
