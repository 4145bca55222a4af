"""A back end is chosen by name, and the command line tells what it did."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from semantiseg import cli
from semantiseg.bench.build import make_candidates, verify_candidates
from semantiseg.commands import collections
from semantiseg.errors import ParameterError
from semantiseg.llm.asking import asker_of

OPTIONS = {
    "base_url": "", "model": "", "key_variable": "NONE", "structured": "none", "at_once": 1, "budget_tokens": None,
    "seed": 0,
}  # fmt: skip


def test_a_server_needs_address_and_model_and_unknown_names_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="--base-url and --model"):
        asker_of(tmp_path, backend="server", **OPTIONS)
    with pytest.raises(ParameterError, match="got 'oracle'"):
        asker_of(tmp_path, backend="oracle", **OPTIONS)
    assert asker_of(tmp_path, backend="grammar", **OPTIONS).backend.identity["backend"] == "grammar"


def test_the_command_words_prompts_by_a_server_and_goes_on_from_kept_answers(volumes, server, tmp_path, monkeypatch):
    monkeypatch.setattr(collections, "ROOT", tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/volumes").symlink_to(volumes)
    bench = tmp_path / "data/bench"
    make_candidates(volumes, bench, minimum_pixels=16, slices_per_volume=1, texts_per_question=1, seed=0, workers=1)
    verify_candidates(volumes, bench, bench, seed=0, workers=1)
    command = ["bench", "rewrite", "--backend", "server", "--base-url", server.url, "--model", "m", "--limit", "3",
               "--attempts", "2", "--output", str(tmp_path / "out")]  # fmt: skip
    first = CliRunner().invoke(cli.main, command, catch_exceptions=False)
    assert first.exit_code == 0 and "prompts worded anew" in first.output
    asked = len(server.asked)
    assert 3 <= asked <= 6
    again = CliRunner().invoke(cli.main, command, catch_exceptions=False)
    assert again.output == first.output and len(server.asked) == asked
    limited = CliRunner().invoke(cli.main, [*command, "--budget-tokens", "1", "--seed", "9"])
    assert limited.exit_code == 1 and "Raise it" in limited.output
