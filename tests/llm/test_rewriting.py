"""What a language model writes is judged like everything else: refused texts are asked again with the reason, then
dropped."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from loopback_server import completion, texts

from semantiseg.bench.build import make_candidates, verify_candidates
from semantiseg.bench.tables import PROMPT_COLUMNS, REJECTED_COLUMNS
from semantiseg.bench.verify.verification import Judge
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError
from semantiseg.llm.asking import AnswerCache, Asker
from semantiseg.llm.backends import GrammarBackend, ServerBackend
from semantiseg.llm.rewriting import SUITE, rewrite, rewrite_bench


@pytest.fixture(scope="module")
def bench(volumes, tmp_path_factory):
    out = tmp_path_factory.mktemp("rewritten")
    make_candidates(volumes, out, minimum_pixels=16, slices_per_volume=1, texts_per_question=2, seed=0, workers=1)
    verify_candidates(volumes, out, out, seed=0, workers=1)
    return out


@pytest.fixture(scope="module")
def kidney(volumes, bench):
    """A prompt about one side's kidney, and the judge of its volume."""
    prompts = pd.read_parquet(bench / "prompts.parquet")
    row = prompts[(prompts.volume_id == "kidneys_2:CT") & (prompts.program == "organ(kidney)")].iloc[0].to_dict()
    side = row | {"program": "side(organ(kidney), right)", "kind": "side", "level": 3, "text": "right kidney"}
    with VolumeStore(volumes) as store:
        judge = Judge.reading(store, row["volume_id"])
        labels = store.labels(row["volume_id"])[row["slice"]]
        side["target_pixels"] = int((labels[:, 36:] > 0).sum())
        yield side, judge


def by_server(server, tmp_path) -> Asker:
    backend = ServerBackend(base_url=server.url, model="tiny")
    return Asker(backend, AnswerCache(tmp_path), sleep=lambda seconds: None)


def rewritten(server, tmp_path, kidney, **options):
    row, judge = kidney
    settings = {"texts_per_prompt": 1, "attempts": 3} | options
    return rewrite([row], by_server(server, tmp_path), judge.reasons, **settings)


def test_a_contradiction_is_asked_again_with_its_reason_and_the_right_words_are_kept(server, tmp_path, kidney):
    server.script = [texts("the kidney on the left"), texts("the kidney on the right")]
    made = rewritten(server, tmp_path, kidney)
    (kept,) = made.prompts
    assert (kept["text"], kept["suite"], kept["phrasing"]) == ("the kidney on the right", SUITE, SUITE)
    assert kept["group"] == kidney[0]["prompt_id"] != kept["prompt_id"]
    (refused,) = made.rejected
    assert refused["text"] == "the kidney on the left" and refused["reason"].startswith("side")
    again = server.asked[1]["messages"][1]["content"]
    assert "the kidney on the left" in again and "side: the text denotes" in again


def test_after_the_last_attempt_the_prompt_is_dropped_with_all_reasons(server, tmp_path, kidney):
    server.default = lambda body: texts("both kidneys")
    made = rewritten(server, tmp_path, kidney, attempts=2)
    assert made.prompts == [] and len(server.asked) == 2
    reasons = [row["reason"].split(":")[0] for row in made.rejected]
    assert reasons == ["side", "side", "dropped"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (completion("Sure, here you are: the right kidney"), "answer: expected JSON"),
        (completion('{"texts": ["right', finish="length"), "answer: expected a whole one"),
        (texts("the spiculated right kidney"), "unread"),
        (texts("the dark right kidney"), "clause-unstated"),
        (texts("right kidney"), "taken"),
        (texts("right renal organ"), "taken"),
    ],
)
def test_every_way_to_be_wrong_is_recorded(server, tmp_path, kidney, answer, reason):
    server.script = [answer, texts("the kidney on the right")]
    made = rewritten(server, tmp_path, kidney, taken={"right renal organ"})
    assert [row["text"] for row in made.prompts] == ["the kidney on the right"]
    assert made.rejected[0]["reason"].startswith(reason)


def test_no_more_texts_are_kept_than_wanted_and_none_twice(server, tmp_path, kidney):
    server.script = [texts("the right kidney", "the right kidney", "kidney on the right", "right-sided kidney")]
    made = rewritten(server, tmp_path, kidney, texts_per_prompt=2)
    assert [row["text"] for row in made.prompts] == ["the right kidney", "kidney on the right"]


def test_the_grammar_words_a_whole_bench_anew_and_training_texts_do_not_come_back(volumes, bench, tmp_path):
    asker = Asker(GrammarBackend(seed=5), AnswerCache(tmp_path / "answers"))
    prompts, rejected = rewrite_bench(volumes, bench, tmp_path, asker, texts_per_prompt=2, attempts=4)
    core = pd.read_parquet(bench / "prompts.parquet").query("split == 'test' and suite == 'core'")
    assert set(prompts["group"]) == set(core["prompt_id"])
    assert (prompts.groupby("group").size() == 2).mean() > 0.9
    training = set(pd.read_parquet(bench / "training.parquet")["texts"].explode())
    assert not training & set(prompts["text"])
    assert tuple(prompts.columns) == PROMPT_COLUMNS and tuple(rejected.columns) == REJECTED_COLUMNS
    same = {path.name: path.read_bytes() for path in tmp_path.glob("*.parquet")}
    rewrite_bench(volumes, bench, tmp_path, asker, texts_per_prompt=2, attempts=4)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.parquet")} == same


def test_a_bench_that_is_not_there_is_named(volumes, tmp_path):
    asker = Asker(GrammarBackend(seed=0), AnswerCache(tmp_path))
    with pytest.raises(DataError, match="expected a bench"):
        rewrite_bench(volumes, tmp_path, tmp_path, asker, texts_per_prompt=1, attempts=1)


def test_answers_are_kept_as_json_that_anyone_can_read(server, tmp_path, kidney):
    server.script = [texts("the kidney on the right")]
    rewritten(server, tmp_path, kidney)
    (path,) = tmp_path.rglob("*.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert json.loads(record["reply"]["text"])["texts"] == ["the kidney on the right"]
