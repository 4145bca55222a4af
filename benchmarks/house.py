"""How the package is laid out, counted: modules, names that two of them share, imports that go round, lengths.

`make lint` runs this file by itself: it fails where a count that must not grow has grown (`KEPT`).
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from semantiseg.pipeline.notebook import imported_names

PACKAGE = "semantiseg"
SMALL = 60
"""Lines below which a module counts as small."""

TARGETS: Mapping[str, tuple[str, float]] = {
    "modules": ("", 210),
    "small_modules": ("", 15),
    "single_use_modules": ("", 60),
    "repeated_names": ("", 25),
    "import_circles": ("", 0),
    "function_lines_median": ("lines", 10),
    "function_lines_p95": ("lines", 35),
    "longest_module": ("lines", 400),
    "package_lines": ("lines", 33_872),
}
"""Count -> unit, and the most that it should be."""

KEPT: Mapping[str, float] = {
    "modules": 222,
    "single_use_modules": 60,
    "repeated_names": 25,
    "import_circles": 0,
    "function_lines_p95": 35,
    "longest_module": 400,
}
"""Count -> what it must never pass again; lower it when a count falls."""


def counts(root: Path) -> dict[str, float]:
    """Every count of `TARGETS` for the package below `root`."""
    sources = {_dotted(path.relative_to(root)): path for path in sorted((root / PACKAGE).rglob("*.py"))}
    texts = {name: path.read_text(encoding="utf-8") for name, path in sources.items()}
    trees = {name: ast.parse(text) for name, text in texts.items()}
    own = {name: len(texts[name].splitlines()) for name, path in sources.items() if path.name != "__init__.py"}
    used = Counter(target for name in sources for target in _imports(texts[name], sources) - {name})
    functions = sorted(
        node.end_lineno - node.lineno + 1
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    )
    public = Counter(name for tree in trees.values() for name in _public(tree))
    return {
        "modules": len(sources),
        "small_modules": sum(lines < SMALL for lines in own.values()),
        "single_use_modules": sum(used[name] == 1 for name in own),
        "repeated_names": sum(times > 1 for times in public.values()),
        "import_circles": len(circle({name: _imports(text, sources) - {name} for name, text in texts.items()})),
        "function_lines_median": statistics.median(functions),
        "function_lines_p95": functions[int(0.95 * len(functions))],
        "longest_module": max(own.values()),
        "package_lines": sum(len(text.splitlines()) for text in texts.values()),
    }


def circle(imports: Mapping[str, set[str]]) -> list[str]:
    """Modules of one circle of imports, in its order; empty if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def layout(root: Path) -> Iterator[dict[str, Any]]:
    """A row a count."""
    found = counts(root)
    for name, (unit, target) in TARGETS.items():
        yield {"name": name, "value": found[name], "unit": unit, "target": target}


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(text: str, modules: Mapping[str, Path]) -> set[str]:
    """Modules whose file an import names; a package stands for itself only where nothing below it is named."""
    names = {name for name in imported_names(text) if name.startswith(PACKAGE)}
    known = {name if name in modules else name.rpartition(".")[0] for name in names}
    return {name for name in known & set(modules) if not any(other.startswith(f"{name}.") for other in known)}


def _public(tree: ast.Module) -> set[str]:
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }


BENCHMARKS = (layout,)

if __name__ == "__main__":
    passed = {name: value for name, value in counts(Path(".")).items() if value > KEPT.get(name, value)}
    sys.exit("\n".join(f"{name}: expected at most {KEPT[name]:g}, got {passed[name]:g}" for name in passed) or 0)
