"""The shape of the project: imports point one way, modules stay small, tracked files name no machine."""

from __future__ import annotations

import ast
import re
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import tiny_project

from semantiseg.pipeline import notebook

ROOT = tiny_project.ROOT
LAYERS = (
    "explorer",
    "segment",
    "scoring",
    "paper",
    "evaluation",
    "training",
    "baselines",
    "composition",
    "models",
    "llm",
    "bench",
    "data",
    "language",
)
"""From left to right as in docs/architecture.md; a module imports from its own layer or from those to its right."""

DOORS = {"artifact", "cli", "commands", "pipeline", "site"}
GROUND = {
    "conventions",
    "document",
    "errors",
    "extras",
    "files",
    "limits",
    "markup",
    "measure",
    "parallel",
    "params",
    "profiles",
    "randomness",
    "recipes",
    "secret",
    "__init__",
}
MODULES = sorted(path.relative_to(ROOT) for path in (ROOT / "semantiseg").rglob("*.py"))
MODULE_THAT_ASKS_MODELS = Path("semantiseg/evaluation/predict.py")
HEAVY = {"torch", "torchvision", "timm", "open_clip", "monai", "pytorch_wavelets", "transformers"}

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: ".".join(path.with_suffix("").parts[1:]))


def rank(parts: tuple[str, ...]) -> int:
    """Place of a module in the order of layers; doors come first, the ground last."""
    if parts[0] in DOORS:
        return 0
    if parts[0] in LAYERS:
        return 1 + LAYERS.index(parts[0])
    assert parts[0] in GROUND, f"semantiseg/{parts[0]} is in no layer of docs/architecture.md"
    return 1 + len(LAYERS)


def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


@each_module
def test_imports_point_one_way(path):
    own = rank(path.with_suffix("").parts[1:])
    names = notebook.imported_names((ROOT / path).read_text(encoding="utf-8"))
    targets = {tuple(name.split(".")[1:]) for name in names if name.startswith("semantiseg.")}
    known = {
        parts
        for parts in targets
        if any((ROOT / "semantiseg" / parts[0]).with_suffix(end).exists() for end in ("", ".py"))
    }
    assert sorted(".".join(parts) for parts in known if rank(parts) < own) == []


@each_module
def test_imports_are_absolute(path):
    assert not any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree(path)))


@each_module
def test_modules_and_functions_stay_small(path):
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= 400
    functions = [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [node.name for node in functions if node.end_lineno - node.lineno >= 60] == []


@each_module
def test_input_is_checked_with_errors_and_not_with_assertions(path):
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree(path)))


@each_module
def test_public_functions_and_modules_say_what_they_do(path):
    if notebook.is_inert((ROOT / path).read_text(encoding="utf-8")):
        return
    assert ast.get_docstring(tree(path))
    public = [
        node
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert [node.name for node in public] == []


@each_module
def test_heavy_libraries_are_imported_for_models_only(path):
    layer = path.parts[1] if len(path.parts) > 2 else ""
    allowed = layer in ("models", "baselines", "composition", "training") or path == MODULE_THAT_ASKS_MODELS
    top = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in tree(path).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert allowed or not {(name or "").partition(".")[0] for name in top} & HEAVY


def test_the_verifier_never_reaches_the_grammar():
    reached = notebook.modules("import semantiseg.bench.verify.verifier", root=ROOT)
    assert Path("semantiseg/bench/verify/verifier.py") in reached
    grammar = sorted(Path("semantiseg/language/grammar").glob("*.py"))
    assert {path.stem for path in grammar} >= {"surface", "phrases", "forms", "tables"}
    writers = {*grammar, Path("semantiseg/bench/ask/candidates.py"), Path("semantiseg/bench/build.py")}
    assert sorted(path for path in reached if path in writers or path.parts[1:3] == ("language", "grammar")) == []


def test_links_of_the_documents_resolve_to_tracked_files(tracked):
    folders = {parent for path in tracked for parent in path.parents}
    broken = []
    for document in (path for path in tracked if path.suffix == ".md" and "figures" not in path.parts):
        for target in re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", (ROOT / document).read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith("mailto:"):
                path = Path(*(ROOT / document.parent / target).resolve().relative_to(ROOT).parts)
                broken += [] if path in tracked or path in folders else [(document.as_posix(), target)]
    assert broken == []


def test_tracked_files_name_no_machine(tracked):
    # Examples in tests may name the temporary folder; a clone may lie there, too.
    places = [f"{place}/" for place in {ROOT.parent, Path.home()} - {Path(tempfile.gettempdir())}]
    found = []
    for path in tracked:
        if path.suffix in (".png", ".pdf", ".h5", ".gz"):
            continue
        text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
        found += [(path.as_posix(), place) for place in places if len(Path(place).parts) > 1 and place in text]
    assert found == []


OPEN_EXTRAS = ("llm", "tensorboard")


def _distribution(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_pins_every_requirement_and_names_no_index():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith(" ")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+ \\", pin) for pin in pins)
    hashes = [line for line in lines if line.startswith(" ")]
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes)
    # A pin's line goes on, and so do all its hashes but the last: none is without, and none stands alone.
    pairs = zip(lines, [*lines[1:], ""], strict=True)
    assert all(after.startswith(" ") == line.endswith("\\") for line, after in pairs)
    pinned = {_distribution(pin.partition("==")[0]) for pin in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # The two extras that nothing here needs are left to whoever wants them: one would compile, one is a viewer.
    extras = [group for name, group in project["optional-dependencies"].items() if name not in OPEN_EXTRAS]
    wanted = [*project["dependencies"], *(name for group in extras for name in group)]
    names = {_distribution(re.match(r"[\w.-]+", requirement)[0]) for requirement in wanted} - {"semantiseg"}
    assert len(names) > 20 and names - pinned == set()


PERMISSIVE = re.compile(r"\b(Apache|MIT|BSD|ISC|PSF|Python Software Foundation|MPL|Mozilla Public)\b|matplotlib")
RESTRICTED = re.compile(r"GPL|General Public|Non-?Commercial|CC-BY-NC|Restricted|Proprietary", re.IGNORECASE)
READ_BY_HAND = {
    "mlcroissant": "says nothing; Apache-2.0 in its repository (mlcommons/croissant)",
    "pytorch_wavelets": "MIT in its file LICENSE, which sends users of the dual-tree transform to the terms of the "
    "original toolbox of Kingsbury and Shaffrey",
    "axe-playwright-python": "MIT in its file LICENSE",
}
"""Packages whose metadata name no licence or no one licence, and what their files say."""


@pytest.mark.parametrize("extra", ["", "paper", "models", "pipeline", "site", "dev"])
def test_every_direct_dependency_may_be_used_freely(extra):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["optional-dependencies"][extra] if extra else project["dependencies"]
    found = {}
    for name in (re.match(r"[\w.-]+", requirement)[0] for requirement in wanted):
        facts = metadata.metadata(name)
        classified = [line for line in facts.get_all("Classifier", []) if "License" in line]
        said = [facts.get("License-Expression"), *classified]
        found[name] = "; ".join(filter(None, said)) or (facts.get("License") or "")
    unclear = {n for n, said in found.items() if not PERMISSIVE.search(said) or RESTRICTED.search(said)}
    assert unclear - set(READ_BY_HAND) == set(), {name: found[name] for name in unclear}
