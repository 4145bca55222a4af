"""Verbs about the project: run the pipeline, keep notebooks, dvc.yaml and README true to it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from semantiseg import __version__
from semantiseg.commands import ROOT
from semantiseg.errors import ParameterError


def _place(function: Any) -> Any:
    """The options that choose parameters and images, shared by `reproduce` and `workspace`."""
    for option in (
        click.option(
            "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a parameter, such as train.steps=50."
        ),
        click.option("--data", metavar="FOLDER", help="Your images: a folder with dataset.json, or several in quotes."),
        click.option("--profile", default="demo", show_default=True, help="demo, smoke, own or paper."),
    ):
        function = option(function)
    return function


@click.command("reproduce")
@_place
@click.option("--from", "bundle", type=click.Path(path_type=Path), help="Take the results of this bundle; no training.")
def reproduce_command(profile: str, data: str | None, settings: tuple[str, ...], bundle: Path | None) -> None:
    """Run the pipeline; print Table 1, where the results lie and what each stage cost.

    The demo runs here and renews the committed results. Anything else runs in a workspace of its own.
    """
    from semantiseg.pipeline import runner

    root = ROOT
    if bundle is not None and (profile != "demo" or data is not None or settings):
        raise ParameterError("--from: expected no other option, got one. A bundle holds the committed results, as is.")
    if profile != "demo" or data is not None or settings:
        folder = runner.default_folder(profile, data=data)
        root = runner.create(folder, project=ROOT, profile=profile, data=data, settings=settings)
    elif not (root / "dvc.yaml").is_file():
        raise ParameterError(f"expected dvc.yaml in {root.resolve()}, got none. Run this in the project's folder.")
    if bundle is not None:
        from semantiseg.artifact.bundle import restore

        click.echo(f"{bundle}: {restore(bundle, root)} objects restored")
    click.echo(runner.run_summary(runner.reproduce(root), root=root))


@click.command("workspace")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@_place
def workspace_command(folder: Path | None, profile: str, data: str | None, settings: tuple[str, ...]) -> None:
    """Make FOLDER a place of its own in which `dvc repro` runs, committed results left alone."""
    from semantiseg.pipeline import runner

    place = folder or runner.default_folder(profile, data=data)
    runner.create(place, project=ROOT, profile=profile, data=data, settings=settings)
    click.echo(f"{place}: ready. Run there: dvc repro")


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also over a params.yaml that was edited.")
def profile(name: str, force: bool) -> None:
    """Write params.yaml from profile NAME."""
    from semantiseg import files
    from semantiseg.errors import OutputError
    from semantiseg.params import profile_names, profile_text

    there = ROOT / "params.yaml"
    shipped = [profile_text(known).encode() for known in profile_names()]
    if not force and there.is_file() and there.read_bytes() not in shipped:
        raise OutputError(
            f"{there}: expected a profile as it is shipped, got an edited one. Keep it under another name, or add "
            "--force; nothing was written."
        )
    files.write(ROOT / "params.yaml", profile_text(name))
    click.echo(f"params.yaml: profile {name}")


@click.command()
@click.argument("name")
def stage(name: str) -> None:
    """Run stage NAME alone, as DVC does (`python -m semantiseg.pipeline.stage NAME`)."""
    from semantiseg.pipeline.stage import main

    sys.exit(main([name]))


@click.group()
def notebooks() -> None:
    """Care of the notebook sources."""


@notebooks.command("strip")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Change nothing; fail if a notebook is not stripped.")
def strip_command(paths: tuple[Path, ...], check: bool) -> None:
    """Remove outputs, counts and editor metadata from PATHS (default: notebooks/*.ipynb)."""
    from semantiseg import files
    from semantiseg.pipeline import notebook

    dirty = []
    for path in paths or sorted((ROOT / "notebooks").glob("*.ipynb")):
        text = notebook.write_text(notebook.strip(notebook.read(path)))
        if text != path.read_text(encoding="utf-8"):
            dirty.append(path)
            if not check:
                files.write(path, text)
    for path in dirty:
        click.echo(f"{path}: {'not stripped' if check else 'stripped'}")
    sys.exit(1 if check and dirty else 0)


@notebooks.command("deps")
@click.option("--check", is_flag=True, help="Change nothing; fail if dvc.yaml does not list what the notebooks run.")
def deps(check: bool) -> None:
    """Write into dvc.yaml the modules that each stage's notebook runs."""
    from semantiseg import files
    from semantiseg.pipeline import notebook

    text, changed = notebook.with_dependencies(ROOT)
    if changed and not check:
        files.write(ROOT / "dvc.yaml", text)
    for change in changed:
        click.echo(change)
    sys.exit(1 if check and changed else 0)


@click.command()
def fresh() -> None:
    """Tell whether the committed results belong to the code beside them; exit 1 with the reasons if not."""
    from semantiseg.pipeline import runner

    reasons = runner.stale(ROOT)
    for reason in reasons:
        click.echo(reason)
    click.echo("stale: run `semantiseg reproduce` and commit" if reasons else "up to date")
    sys.exit(1 if reasons else 0)


@click.command("compare-table")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--tolerance", type=click.FloatRange(min=0), default=0.0, show_default=True, help="Largest absolute difference."
)
@click.option(
    "--exact-on", type=click.Path(path_type=Path),
    help="Run record; on the machine it names the tolerance is 0, in all columns.",
)  # fmt: skip
@click.option("--column", "columns", multiple=True, help="Compare the numbers of this column only [all]. Repeatable.")
def compare_table(old: Path, new: Path, tolerance: float, exact_on: Path | None, columns: tuple[str, ...]) -> None:
    """Compare every number of two CSV tables; exit 1 if one differs by more than the tolerance."""
    from semantiseg import measure
    from semantiseg.artifact import compare

    if exact_on is not None and compare.same_machine(exact_on, measure.machine()):
        tolerance, columns = 0.0, ()
    found = compare.differences(old, new, tolerance=tolerance, columns=columns or None)
    for difference in found:
        click.echo(difference)
    click.echo(f"{len(found)} differences at tolerance {tolerance:g}")
    sys.exit(1 if found else 0)


@click.command("publish")
def publish_command() -> None:
    """Copy reports and rendered notebooks to figures/ and notebooks/rendered/."""
    from semantiseg.artifact.published import publish

    publish(root=ROOT)


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; fail if a number in README.md is not that of its file.")
def readme(check: bool) -> None:
    """Fill README.md's tables from figures/ and benchmarks/."""
    from semantiseg import files
    from semantiseg.artifact.numbers import fill_blocks

    path = ROOT / "README.md"
    before = path.read_text(encoding="utf-8")
    after = fill_blocks(before, ROOT)
    if after != before and not check:
        files.write(path, after)
    click.echo("README.md: " + ("up to date" if after == before else "stale" if check else "filled"))
    sys.exit(1 if check and after != before else 0)


@click.command()
def info() -> None:
    """Print version, processor, cores and library versions as JSON."""
    import json

    from semantiseg import measure

    click.echo(json.dumps({"semantiseg": __version__, **measure.machine()}, indent=1))
