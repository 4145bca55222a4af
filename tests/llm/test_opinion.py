"""A second opinion rejects, and never accepts what was rejected."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from loopback_server import completion, texts

from semantiseg.bench.build import make_candidates, verify_candidates
from semantiseg.llm.asking import AnswerCache, Asker
from semantiseg.llm.backends import ServerBackend
from semantiseg.llm.rewriting import disputed, rewrite_bench

ROWS = [
    {
        "prompt_id": f"p{number}",
        "program": "side(organ(kidney), right)",
        "clauses": "[]",
        "modality": "CT",
        "text": text,
    }
    for number, text in enumerate(("right kidney", "kidney on the right", "the right one"))
]


def says(same: bool, why: str = "other side") -> dict:
    return completion(json.dumps({"same": same, "why": why}))


@pytest.fixture
def asker(server, tmp_path) -> Asker:
    backend = ServerBackend(base_url=server.url, model="tiny")
    return Asker(backend, AnswerCache(tmp_path), at_once=1, sleep=lambda seconds: None)


def test_only_a_clear_no_disputes_a_prompt_and_its_reason_is_kept(server, asker):
    server.script = [says(True), says(False), completion("hm, perhaps")]
    assert disputed(ROWS, asker) == {"p1": "opinion: other side"}


def test_the_model_sees_meaning_and_sentence_and_answers_to_a_schema_of_its_own(server, asker):
    server.default = lambda body: says(True)
    disputed(ROWS[:1], asker)
    (body,) = server.asked
    assert "kidney, only on the patient's right side" in body["messages"][1]["content"]
    assert "Sentence: right kidney" in body["messages"][1]["content"]
    assert "same" in body["response_format"]["json_schema"]["schema"]["properties"]


def test_disputed_prompts_move_to_the_rejected_ones(volumes, server, asker, tmp_path):
    make_candidates(volumes, tmp_path, minimum_pixels=16, slices_per_volume=1, texts_per_question=1, seed=0, workers=1)
    verify_candidates(volumes, tmp_path, tmp_path, seed=0, workers=1)
    core = pd.read_parquet(tmp_path / "prompts.parquet").query("split == 'test' and suite == 'core'")
    first = core.sort_values("prompt_id").iloc[0]

    def answer(body: dict) -> dict:
        return (
            says(False, "no")
            if "Sentence:" in body["messages"][1]["content"]
            else texts("please show " + first["text"])
        )

    server.default = answer
    options = {"texts_per_prompt": 1, "attempts": 1, "limit": 1}
    without, _ = rewrite_bench(volumes, tmp_path, tmp_path / "a", asker, **options)
    kept, refused = rewrite_bench(volumes, tmp_path, tmp_path / "b", asker, opinion=asker, **options)
    assert len(kept) == 0 and len(without) == sum(refused["reason"].str.startswith("opinion")) == 1
