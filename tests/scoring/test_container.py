"""The scorer's container: its entry point is run as a platform runs it, and its recipe copies what there is."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
ENTRY = ROOT / "container/evaluate.py"


@pytest.fixture(scope="module")
def places(cohort, tmp_path_factory) -> Path:
    """A participant's masks of level 3's parents, all but one, and the truth that the participant does not see."""
    root = tmp_path_factory.mktemp("challenge")
    cohort.write(root / "hidden", {})
    (root / "input").mkdir()
    for prompt_id, mask in sorted(cohort.answers("collapses").items())[1:]:
        Image.fromarray(mask).save(root / "input" / f"{prompt_id}.png")
    return root


def words(root: Path, *, masks: str = "input", written: str = "metrics.json") -> list[str]:
    return ["--masks", f"{root}/{masks}", "--truth", f"{root}/hidden/data", "--written", f"{root}/output/{written}"]


@pytest.fixture
def main(monkeypatch) -> Callable[[list[str]], None]:
    """The entry point without a process of its own."""
    spec = importlib.util.spec_from_file_location("evaluate", ENTRY)
    found = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "evaluate", found)
    spec.loader.exec_module(found)
    return found.main


def test_the_entry_point_writes_numbers_over_all_prompts_and_nothing_else(places, cohort):
    done = subprocess.run(
        [sys.executable, ENTRY, *words(places)], capture_output=True, text=True, check=False, cwd=places,
        env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (places / "output").iterdir()] == ["metrics.json"]
    text = (places / "output/metrics.json").read_text()
    numbers = json.loads(text)["aggregates"]
    assert numbers["missing"] == 1 and numbers["prompts"] == len(cohort.prompts) and numbers["collapse_rate"] == 1.0
    assert 0 < numbers["core_l3_low"] <= numbers["core_l3"] <= numbers["core_l3_high"] < numbers["core_l1"]
    asked = set(cohort.prompts["prompt_id"]) | set(cohort.prompts["patient_id"]) | set(cohort.prompts["case_id"])
    assert not any(name in text + done.stdout for name in asked)


def test_the_other_platform_reads_a_flat_file(places, main):
    main(words(places, written="scores.json"))
    numbers = json.loads((places / "output/scores.json").read_text())
    assert set(map(type, numbers.values())) <= {int, float, str, type(None)} and "core_pss" in numbers


def test_what_cannot_be_scored_ends_in_one_sentence_and_no_file(places, main):
    (places / "spoilt").mkdir()
    (places / "spoilt/stranger.png").write_bytes((places / "input" / "v00-01.png").read_bytes())
    with pytest.raises(SystemExit, match=r"^not scored: .*1 unknown \['stranger'\]"):
        main(words(places, masks="spoilt", written="third.json"))
    assert not (places / "output/third.json").exists()


def test_the_recipe_copies_what_there_is_and_starts_the_entry_point():
    recipe = (ROOT / "container/Dockerfile").read_text(encoding="utf-8")
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", recipe, re.MULTILINE) for name in line.split()]
    assert copied and all((ROOT / name).exists() for name in copied)
    placed = re.search(r"^COPY container/evaluate.py (\S+)$", recipe, re.MULTILINE)
    started = json.loads(re.search(r"^ENTRYPOINT (.+)$", recipe, re.MULTILINE)[1])
    assert placed and started == ["python", placed[1]]
