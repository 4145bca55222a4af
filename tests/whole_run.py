"""All stages of a workspace in this process, without DVC and kernels: the notebooks' own code on the notebooks' own
parameters, every value that a cell shows drawn as Jupyter would draw it. Tests on many kinds of images can afford it.
"""

from __future__ import annotations

import ast
import contextlib
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from joblib.externals.loky import get_reusable_executor

from semantiseg import files
from semantiseg.artifact.published import publish
from semantiseg.params import read_yaml
from semantiseg.pipeline import notebook, stage

REPRESENTATIONS = ("_repr_html_", "_repr_markdown_", "_repr_mimebundle_")


class CellError(AssertionError):
    """A cell raised; the message names notebook, cell and line as a user would see them."""


def run_all(root: Path, *, without: Collection[str] = (), published: bool = True) -> dict[str, str]:
    """Run every stage of the workspace `root` in order; stage -> all that its notebook showed and printed.

    Args:
        root: from `workspace.create`.
        without: stages to leave out.
        published: copy tables and figures to figures/, as the last stage does.

    Raises:
        CellError: a cell raised, or an output that dvc.yaml declares is absent.
    """
    # Idle workers of an earlier run keep its folder, and what they are given is named relative to it.
    get_reusable_executor().shutdown(wait=True)
    root, shown = root.resolve(), {}
    with contextlib.chdir(root), _drawing_nowhere():
        for name in stages(root):
            if name not in without:
                shown[name] = _run(stage.load_stage(name, root=root), root=root)
        if published:
            publish(root=root)
    return shown


def stages(root: Path) -> Iterator[str]:
    """Every stage with a notebook, models one by one, in the order of dvc.yaml."""
    models = read_yaml(root / "params.yaml")["models"]
    for name, entry in read_yaml(root / "dvc.yaml")["stages"].items():
        if any(dep.endswith(".ipynb") for dep in entry["deps"]):  # publish has none
            yield from [f"{name}@{model}" for model in models] if "matrix" in entry else [name]


def _run(declared: stage.Stage, *, root: Path) -> str:
    values = stage.notebook_arguments(declared, defaults=notebook.parameters(root / declared.source))
    staging = root / stage.STAGING / declared.name
    for out in declared.outs:
        (staging / out).parent.mkdir(parents=True, exist_ok=True)
    cells = notebook.read(root / declared.source).cells
    shown = _executed(cells, values, where=declared.source.name)
    files.write(staging / declared.rendered, notebook.write_text(notebook.read(root / declared.source)))
    absent = [str(out) for out in declared.outs if not (staging / out).exists()]
    if absent:
        raise CellError(f"{declared.source}: expected it to write {absent}")
    for out in declared.outs:
        files.replace(staging / out, root / out)
    return shown


def _executed(cells: list[Any], values: dict[str, Any], *, where: str) -> str:
    space: dict[str, Any] = {"__name__": "__main__"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for number, cell in enumerate(cells, start=1):
            if cell.cell_type != "code":
                continue
            name = f"{where}[{number}]"
            try:
                _cell(cell.source, space, name=name)
            except Exception as error:
                mine = [frame.tb_lineno for frame in _frames(error) if frame.tb_frame.f_code.co_filename == name]
                text = cell.source.splitlines()[mine[0] - 1] if mine else ""
                raise CellError(f"{where}, cell {number}: {text}\n{error!r}") from error
            if "parameters" in cell.metadata.get("tags", []):
                space.update(values)
    return printed.getvalue()


def _frames(error: BaseException) -> Iterator[Any]:
    frame = error.__traceback__
    while frame is not None:
        yield frame
        frame = frame.tb_next


def _cell(source: str, space: dict[str, Any], *, name: str) -> None:
    tree = ast.parse(source, filename=name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), space)
    if last is not None:
        _show(eval(compile(ast.Expression(last.value), name, "eval"), space))
    plt.show()


def _show(value: Any) -> None:
    if value is None:
        return
    print(value)
    print(getattr(value, "data", ""))  # of Markdown
    for method in REPRESENTATIONS:
        if hasattr(value, method):
            getattr(value, method)()


@contextlib.contextmanager
def _drawing_nowhere() -> Iterator[None]:
    """`plt.show()` draws every open figure into memory, as the inline backend does, and closes it."""
    before, show = matplotlib.get_backend(), plt.show
    matplotlib.use("agg")

    def draw() -> None:
        for number in plt.get_fignums():
            plt.figure(number).savefig(io.BytesIO(), format="png", dpi=40)
        plt.close("all")

    plt.show = draw
    try:
        yield
    finally:
        plt.show = show
        matplotlib.use(before)
