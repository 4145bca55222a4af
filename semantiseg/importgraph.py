"""Which modules of this package does a notebook run? Read from the source, so nothing is imported to find out.

The pipeline's promise that a result belongs to its code holds only if every module that made it is a dependency of its
stage.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from semantiseg import notebook

PACKAGE = "semantiseg"


def notebook_source(path: Path) -> str:
    """All code cells of a notebook as one module; IPython's own lines (`%`, `!`) left out."""
    lines: list[str] = []
    for cell in notebook.read(path).cells:
        if cell.cell_type == "code":
            lines += [line for line in cell.source.splitlines() if not line.lstrip().startswith(("%", "!"))]
    return "\n".join(lines)


def imported_names(source: str) -> set[str]:
    """Dotted names that a piece of source imports, also inside functions; `from a import b` gives `a` and `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def modules(source: str, *, root: Path) -> set[Path]:
    """Files of the package, relative to `root`, that running `source` executes, followed through their own imports.

    Importing `a.b.c` executes the packages `a` and `a.b` too. Modules that hold nothing but a docstring and dunder
    constants are left out: they cannot change a result.
    """
    found: set[Path] = set()
    waiting = _files(imported_names(source), root=root)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting |= _files(imported_names((root / path).read_text(encoding="utf-8")), root=root) - found
    return {path for path in found if not is_inert((root / path).read_text(encoding="utf-8"))}


def is_inert(source: str) -> bool:
    """Does a module hold only a docstring and constants such as `__version__`?"""
    return all(
        (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        or (
            isinstance(statement, ast.Assign)
            and all(isinstance(target, ast.Name) and target.id.startswith("__") for target in statement.targets)
        )
        for statement in ast.parse(source).body
    )


def uncovered(source: str, *, deps: Iterable[Path], root: Path) -> list[Path]:
    """Modules that `source` runs and that no path of `deps` (files or folders) covers, sorted."""
    covers = [Path(dep) for dep in deps]
    return sorted(
        path for path in modules(source, root=root) if not any(path == dep or dep in path.parents for dep in covers)
    )


def dependencies(source: str, *, root: Path) -> list[Path]:
    """What a stage that runs `source` lists under `deps`: its modules, or a folder where it runs all of it; sorted."""
    used = modules(source, root=root)
    whole = {
        folder for path in used for folder in path.parents if folder.parts[1:] and _runs_all(folder, used, root=root)
    }
    return sorted({min((folder for folder in path.parents if folder in whole), default=path) for path in used})


def _runs_all(folder: Path, used: set[Path], *, root: Path) -> bool:
    held = [path for path in (root / folder).rglob("*.py") if not is_inert(path.read_text(encoding="utf-8"))]
    return len(held) > 1 and all(path.relative_to(root) in used for path in held)


def _files(names: set[str], *, root: Path) -> set[Path]:
    files: set[Path] = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != PACKAGE:
            continue
        for length in range(1, len(parts) + 1):
            base = Path(*parts[:length])
            files |= {path for path in (base / "__init__.py", base.with_suffix(".py")) if (root / path).is_file()}
    return files
