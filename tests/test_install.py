"""What an install without extras can do, and what it says where it cannot: what extras bring is made absent."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import small_cohort
from PIL import Image
from tiny_images import Folder, box
from tiny_project import ROOT, surroundings

from semantiseg.errors import ExtraError
from semantiseg.extras import EXTRAS, extras_named, lacking

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAMES = {"open_clip": "open-clip-torch", "skimage": "scikit-image", "pywt": "pywavelets", "distributed": "dask"}
"""What is imported under another name than it is installed under."""

OF_EXTRAS = {package for brought in EXTRAS.values() for package in brought}
HEAVY = OF_EXTRAS | {"IPython", "jupyterlab", "jupyter_core", "mlcroissant", "monai", "openai", "pytest", "hypothesis"}


def distribution(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def alone(code: str, *arguments: object, absent: Iterable[str] = HEAVY, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run code in another process, in which the absent packages cannot be imported."""
    prelude = f"import sys; sys.modules |= dict.fromkeys({sorted(absent)!r}); "
    return subprocess.run(
        [sys.executable, "-c", prelude + code, *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
        env=surroundings() | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip


CLI = "from semantiseg.cli import main; main(prog_name='semantiseg')"


cohort = small_cohort.cohort


@pytest.fixture(scope="module")
def bench(cohort, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("bench")
    cohort.write(root, {})
    return root / "data"


def test_every_package_of_an_extra_is_named_by_it_and_no_other_dependency_is_heavy():
    extras = PROJECT["optional-dependencies"]
    for extra, packages in EXTRAS.items():
        brought = {distribution(item) for item in extras[extra]}
        assert {distribution(NAMES.get(name, name)) for name in packages} <= brought, extra
    core = {distribution(item) for item in PROJECT["dependencies"]}
    assert not core & {distribution(NAMES.get(name, name)) for name in HEAVY}


def test_the_package_itself_imports_nothing_of_others(tmp_path):
    code = "import semantiseg; print([name for name in ('numpy', 'pandas', 'torch', 'click') if name in sys.modules])"
    assert alone(code, absent=(), cwd=tmp_path).stdout == "[]\n"


def test_masks_are_scored_without_any_extra_and_the_missing_figure_is_named(cohort, bench, tmp_path):
    (tmp_path / "truth").mkdir()
    for prompt_id, mask in cohort.answers("truth").items():
        Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "truth" / f"{prompt_id}.png")
    done = alone(CLI, "score", "truth", "--bench", bench, "--resamples", 20, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no figure levels.png" in done.stdout and "pip install 'semantiseg[paper]'" in done.stdout
    written = {path.name for path in (tmp_path / "scores/truth").iterdir()}
    assert {"submission.json", "table1.md", "results.parquet"} <= written and "levels.png" not in written


def test_a_volume_is_scored_without_torch(tmp_path):
    code = (
        "import numpy as np; from semantiseg.evaluation import metrics; "
        "a = np.zeros((5, 6, 7), bool); a[1:3, 2:4, 3:5] = 1; "
        "print(metrics.score_masks(a, a, spacing_mm=(3.0, 1.0, 1.0), nsd_tolerance_mm=1.0))"
    )
    done = alone(code, cwd=tmp_path)
    assert "dice=1.0" in done.stdout and "hd95_mm=0.0" in done.stdout, done.stderr


def test_a_folder_of_images_is_checked_without_any_extra(tmp_path):
    folder = Folder(tmp_path / "images", ["liver", "spleen"])
    for number in range(2):
        folder.add(f"case{number}x", {1: box(22, 18), 2: box(5, 20)})
    done = alone(CLI, "check", "images", cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize("verb", ["", "score", "leaderboard", "check", "plan", "fetch", "bench attach", "bench release",
                                  "read", "segment", "train", "reproduce", "baselines"])  # fmt: skip
def test_help_needs_no_extra(verb, tmp_path):
    done = alone(CLI, *verb.split(), "--help", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("Usage:"), done.stderr


@pytest.mark.parametrize(
    "module",
    ["bench.release.attach", "bench.release.publication", "bench.ask.planning", "language.reader.structured",
     "scoring.leaderboard", "data.official.fetch"],
)  # fmt: skip
def test_a_release_is_read_and_a_sentence_too_without_any_extra(module, tmp_path):
    done = alone(f"import semantiseg.{module}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [(("segment", "x.nii.gz", "liver", "--model", ".", "--out", "y.nii.gz"), "models"), (("reproduce",), "pipeline")],
)
def test_a_verb_that_needs_an_extra_says_which_and_shows_no_traceback(arguments, extra, tmp_path):
    done = alone(CLI, *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert f"expected the extra `{extra}`" in done.stderr and f"pip install 'semantiseg[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_failed_import_stays_what_it_is():
    with pytest.raises(ModuleNotFoundError, match="no_such_package"), extras_named():
        import no_such_package  # noqa: F401
    with pytest.raises(ExtraError, match="extra `llm`"), extras_named():
        raise ModuleNotFoundError("No module named 'gguf.reader'", name="gguf.reader")


def test_an_extra_lacks_its_first_absent_package(monkeypatch):
    assert lacking("paper") is None
    monkeypatch.setitem(sys.modules, "seaborn", None)
    assert "no package seaborn" in str(lacking("paper"))
