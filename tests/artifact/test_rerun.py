"""An honest rerun agrees quantity by quantity, a wrong one does not, and what is committed stays apart from it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_project

from semantiseg import document
from semantiseg.artifact import compare, numbers, published, rerun, verify
from semantiseg.errors import DataError

ROOT = tiny_project.ROOT
MACHINES = sorted((ROOT / compare.RERUNS).glob("*.csv"))


@pytest.fixture(scope="module")
def spreads() -> dict[str, compare.Spread]:
    return compare.measured_spread(ROOT)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A clone of what a rerun is judged by, under Git."""
    root = tmp_path / "clone"
    root.mkdir()
    for name in ("README.md", "dvc.lock", "dvc.yaml", "params.yaml", "claims.yaml", "pyproject.toml"):
        shutil.copy2(ROOT / name, root)
    for name in ("figures", "notebooks", "benchmarks"):
        shutil.copytree(ROOT / name, root / name)
    for command in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "-m", "results")):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=root, check=True)
    return root


def run_here(root: Path, change) -> None:
    """Stand for `make reproduce` on another machine: Table 1 changed by `change`, recorded in dvc.lock, logged."""
    path = root / rerun.TABLE
    change(pd.read_csv(path)).to_csv(path, index=False, float_format="%.6f", lineterminator="\n")
    lock = document.read_document(root / "dvc.lock")
    for name in ("table1", "publish"):
        for out in lock["stages"][name]["outs"]:
            target = Path("figures") / Path(out["path"]).name if name == "table1" else Path(out["path"])
            if (root / target).exists():
                out["md5"] = published.dvc_checksum(root / target)
    (root / "dvc.lock").write_text(document.document_text(lock))
    (root / "logs").mkdir()
    (root / "logs/demo_run.json").write_text('{"cpu": "another", "cores": 2, "versions": {}}')


def moved(table: pd.DataFrame, spreads: dict[str, compare.Spread], times: float, seed: int = 0) -> pd.DataFrame:
    """Every measured number elsewhere by a normal draw of `times` its spread."""
    draws = np.random.default_rng(seed)
    new = table.copy()
    for column in new.select_dtypes("float"):
        if column in spreads:
            new[column] = (new[column] + times * spreads[column].rms * draws.standard_normal(len(new))).round(6)
    return new


def other(table: pd.DataFrame, column: str, shift: float) -> pd.DataFrame:
    return table.assign(**{column: table[column] + shift})


def test_two_machines_agree_though_one_left_out_of_the_measurement():
    """Each model's differences against the spread that the other models and the seeds show."""
    one, two = map(compare.read_table1, MACHINES)
    beyond = 0
    for model in one.index:
        found, problems = rerun.quantities(one.loc[[model]], two.loc[[model]], _without(model, one, two))
        beyond += sum(bool(entry.beyond) for entry in found)
        assert problems == [] and not any(entry.beyond for entry in found if entry.quantity in rerun.HEADLINE)
    assert beyond <= 0.02 * len(one) * len(one.columns)


def _without(model: str, one: pd.DataFrame, two: pd.DataFrame) -> dict[str, compare.Spread]:
    apart = (one.select_dtypes("float") - two.select_dtypes("float")).drop(index=model)
    return {
        name: compare.Spread(len(values), float((values**2).mean() ** 0.5), float(values.abs().max()))
        for name, values in apart.items()
    }


@pytest.mark.parametrize("seed", range(20))
def test_a_run_within_the_spread_agrees(spreads, seed):
    table = compare.read_table1(MACHINES[0])
    found, problems = rerun.quantities(table, moved(table, spreads, 0.9, seed), spreads)
    assert problems == [] and not [entry.words() for entry in found if entry.beyond]


@pytest.mark.parametrize("column", rerun.HEADLINE)
def test_a_headline_number_beyond_the_spread_is_named_with_its_model(spreads, column):
    table = compare.read_table1(MACHINES[0])
    wrong = table.copy()
    wrong.loc["scalar", column] += 0.15
    found, _ = rerun.quantities(table, wrong, spreads)
    (entry,) = [entry for entry in found if entry.beyond]
    assert (entry.quantity, entry.beyond) == (column, ("scalar",)) and "BEYOND in scalar" in entry.words()


def test_an_area_may_move_by_27_square_millimetres_and_a_dice_by_no_more_than_a_twentieth_and_a_bit(spreads):
    table = compare.read_table1(MACHINES[0])
    assert 27.4 < spreads["absent_area_mm2_high"].allowed(width=0) < 100
    for name in ("l1", "l2", "l3"):
        width = float((table[f"{name}_high"] - table[f"{name}_low"]).max())
        assert 0.02 < spreads[name].allowed(width=width) < 0.08


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop(index="box"),
        lambda table: table.drop(columns="l2"),
        lambda table: table.assign(prompts=table["prompts"] + 1),
        lambda table: table.assign(label="SemantiSeg"),
        lambda table: table.assign(l3=float("nan")),
    ],
)
def test_other_rows_columns_words_counts_or_gaps_never_agree(spreads, change):
    table = compare.read_table1(MACHINES[0])
    found, problems = rerun.quantities(table, change(table), spreads)
    assert problems or any(entry.beyond for entry in found)


def test_the_same_machine_gives_the_same_numbers_or_does_not_agree():
    table = compare.read_table1(MACHINES[0])
    assert not any(entry.beyond for entry in rerun.quantities(table, table, {})[0])
    assert any(entry.beyond for entry in rerun.quantities(table, other(table, "l1", 1e-6), {})[0])


def test_without_a_rerun_nothing_is_claimed(copy):
    assert rerun.agreement(copy)[0] is None
    with pytest.raises(DataError, match=r"table1\.csv"):
        rerun.agreement(copy, against=[copy / "absent"])


def test_after_an_honest_run_here_every_check_of_what_is_committed_passes(copy, spreads):
    before = _answers(copy)
    run_here(copy, lambda table: moved(table, spreads, 0.9))
    assert published.is_rerun(copy)
    passed, summary, lines, facts = rerun.agreement(copy)
    assert passed, lines
    assert summary == "1 of 1 re-runs agree with the committed Table 1" and "quantities agree" in lines[0]
    assert any(line.strip().startswith("l1: off by at most") for line in lines) and facts[0]["agrees"]
    with published.committed_tree(copy) as tree:
        assert tree != copy and _answers(tree) == before
    assert not _answers(copy)["tables"], "what was made is not what is committed"


def _answers(root: Path) -> dict[str, bool | None]:
    return {
        "published": published.check_published(root)[0],
        "tables": numbers.tables(root)[0],
        "readme": numbers.start_page(root)[0],
        "cost": verify.cost(root)[0],
    }


def test_a_digit_changed_after_an_honest_run_is_seen(copy, spreads):
    run_here(copy, lambda table: moved(table, spreads, 0.9))
    path = copy / "figures/composition.csv"
    path.write_text(re.sub(r"0\.8", "0.9", path.read_text(), count=1))
    passed, _, lines, _ = rerun.agreement(copy)
    assert not passed and any("composition.csv" in line for line in lines)


def test_a_run_far_off_or_with_another_verdict_does_not_agree(copy):
    run_here(copy, lambda table: other(table, "l3", -0.2))
    assert not rerun.agreement(copy)[0]
    old = rerun.committed_table(copy, rerun.VERDICTS, key="id")
    new = old.assign(verdict=["holds" if verdict == "fails" else verdict for verdict in old["verdict"]])
    assert len(rerun.flipped(old, new)) == (old["verdict"] == "fails").sum() and not rerun.flipped(old, old)


def test_results_of_changed_code_are_new_results_and_no_rerun(copy, spreads):
    run_here(copy, lambda table: moved(table, spreads, 0.9))
    path = copy / "dvc.lock"
    source = r"(path: semantiseg/\S+\s+(?:hash: md5\s+)?md5: )\w{6}"
    path.write_text(re.sub(source, r"\g<1>000000", path.read_text(), count=1))
    assert not published.is_rerun(copy)
    with published.committed_tree(copy) as tree:
        assert tree == copy


def test_a_workspace_with_other_parameters_is_no_rerun(copy):
    place = copy / "workspaces/place"
    (place / "figures").mkdir(parents=True)
    shutil.copy2(copy / rerun.TABLE, place / rerun.TABLE)
    shutil.copy2(copy / "params.yaml", place)
    assert rerun.agreement(copy)[0] is True
    (place / "params.yaml").write_text((copy / "params.yaml").read_text().replace("seed: 0", "seed: 1"))
    assert rerun.agreement(copy)[0] is None
