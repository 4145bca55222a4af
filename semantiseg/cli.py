"""The command line: `semantiseg VERB`. Each verb imports what it needs when it runs, so that help is immediate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from semantiseg import __version__
from semantiseg.errors import ParameterError, SemantiSegError

ROOT = Path(".")


class Program(click.Group):
    """Prints the project's own errors as one message, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SemantiSegError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="semantiseg")
def main() -> None:
    """SemantiSeg: text-prompted medical segmentation, and what happens to it when the prompt gets harder.

    Run the verbs in the project's folder (the one that holds dvc.yaml).
    """


def _place(function: Any) -> Any:
    """The options that choose parameters and images, shared by `reproduce` and `workspace`."""
    for option in (
        click.option(
            "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a parameter, such as train.steps=50."
        ),
        click.option("--data", type=click.Path(path_type=Path), help="Your images: a folder in Decathlon layout."),
        click.option("--profile", default="demo", show_default=True, help="demo, smoke or own."),
    ):
        function = option(function)
    return function


@main.command()
@_place
def reproduce(profile: str, data: Path | None, settings: tuple[str, ...]) -> None:
    """Run the pipeline; print Table 1, where the results lie and what each stage cost.

    The demo runs here and renews the committed results. Anything else runs in a workspace of its own.
    """
    from semantiseg import pipeline, workspace

    root = ROOT
    if profile != "demo" or data is not None or settings:
        folder = workspace.default_folder(profile, data=data)
        root = workspace.create(folder, project=ROOT, profile=profile, data=data, settings=settings)
    elif not (root / "dvc.yaml").is_file():
        raise ParameterError(f"expected dvc.yaml in {root.resolve()}, got none. Run this in the project's folder.")
    click.echo(pipeline.summary(pipeline.reproduce(root), root=root))


@main.command("workspace")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@_place
def workspace_(folder: Path | None, profile: str, data: Path | None, settings: tuple[str, ...]) -> None:
    """Make FOLDER a place of its own in which `dvc repro` runs, committed results left alone."""
    from semantiseg import workspace

    place = folder or workspace.default_folder(profile, data=data)
    workspace.create(place, project=ROOT, profile=profile, data=data, settings=settings)
    click.echo(f"{place}: ready. Run there: dvc repro")


@main.command()
@click.argument("name")
def profile(name: str) -> None:
    """Write params.yaml from profile NAME."""
    from semantiseg import files
    from semantiseg.params import profile_text

    files.write(ROOT / "params.yaml", profile_text(name))
    click.echo(f"params.yaml: profile {name}")


@main.command()
@click.argument("name")
def stage(name: str) -> None:
    """Run stage NAME alone, as DVC does (`python -m semantiseg.stage NAME`)."""
    from semantiseg.stage import main as run_stage

    sys.exit(run_stage([name]))


@main.group()
def notebooks() -> None:
    """Care of the notebook sources."""


@notebooks.command("strip")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Change nothing; fail if a notebook is not stripped.")
def strip(paths: tuple[Path, ...], check: bool) -> None:
    """Remove outputs, counts and editor metadata from PATHS (default: notebooks/*.ipynb)."""
    from semantiseg import files, notebook

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
    from semantiseg import declarations, files

    text, changed = declarations.with_dependencies(ROOT)
    if changed and not check:
        files.write(ROOT / "dvc.yaml", text)
    for change in changed:
        click.echo(change)
    sys.exit(1 if check and changed else 0)


@main.command()
def fresh() -> None:
    """Tell whether the committed results belong to the code beside them; exit 1 with the reasons if not."""
    from semantiseg import pipeline

    reasons = pipeline.stale(ROOT)
    for reason in reasons:
        click.echo(reason)
    click.echo("stale: run `semantiseg reproduce` and commit" if reasons else "up to date")
    sys.exit(1 if reasons else 0)


@main.command("compare-table")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--tolerance", type=click.FloatRange(min=0), default=0.0, show_default=True, help="Largest absolute difference."
)
@click.option(
    "--exact-on", type=click.Path(path_type=Path), help="Run record; on the machine it names the tolerance is 0."
)
def compare_table(old: Path, new: Path, tolerance: float, exact_on: Path | None) -> None:
    """Compare every number of two CSV tables; exit 1 if one differs by more than the tolerance."""
    from semantiseg import measure
    from semantiseg.report import compare

    if exact_on is not None and compare.same_machine(exact_on, measure.machine()):
        tolerance = 0.0
    found = compare.differences(old, new, tolerance=tolerance)
    for difference in found:
        click.echo(difference)
    click.echo(f"{len(found)} differences at tolerance {tolerance:g}")
    sys.exit(1 if found else 0)


@main.command()
def publish() -> None:
    """Copy reports and rendered notebooks to figures/ and notebooks/rendered/."""
    from semantiseg.report.publish import publish as copy

    copy(root=ROOT)


@main.command()
@click.option("--check", is_flag=True, help="Change nothing; fail if a number in README.md is not that of its file.")
def readme(check: bool) -> None:
    """Fill README.md's tables from figures/ and benchmarks/."""
    from semantiseg import files
    from semantiseg.report.readme import fill

    path = ROOT / "README.md"
    before = path.read_text(encoding="utf-8")
    after = fill(before, ROOT)
    if after != before and not check:
        files.write(path, after)
    click.echo("README.md: " + ("up to date" if after == before else "stale" if check else "filled"))
    sys.exit(1 if check and after != before else 0)


@main.group(invoke_without_command=True)
@click.option(
    "--weights", type=click.Path(path_type=Path), help="Folder of all weights [SEMANTISEG_WEIGHTS, weights/]."
)
@click.option("--checksum", is_flag=True, help="Read each file for its SHA-256.")
@click.pass_context
def baselines(context: click.Context, weights: Path | None, checksum: bool) -> None:
    """List the paper's baselines: what is present, where it was looked for, where to get it, licences."""
    from semantiseg.models.baselines.listing import listing

    context.obj = weights
    if context.invoked_subcommand is None:
        click.echo(listing(weights, checksum=checksum))


@baselines.command("get")
@click.argument("name")
@click.pass_obj
def get_baseline(weights: Path | None, name: str) -> None:
    """Download the weights of baseline NAME from the Hugging Face hub; read their licence first."""
    from semantiseg.models.baselines import catalogue

    click.echo(f"{catalogue.download(name, catalogue.weights_root(weights))}: licence as `semantiseg baselines` says")


@baselines.command("ask")
@click.argument("name")
@click.argument("picture", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--text", "texts", multiple=True, help="A sentence; may be repeated.")
@click.option("--box", "boxes", nargs=4, type=float, multiple=True, help="TOP LEFT BOTTOM RIGHT in pixels.")
@click.option("--formula-weights", is_flag=True, help="Prove the way without weights: the masks mean nothing.")
@click.pass_obj
def ask_baseline(
    weights: Path | None,
    name: str,
    picture: Path,
    output: Path,
    texts: tuple[str, ...],
    boxes: tuple[tuple[float, float, float, float], ...],
    formula_weights: bool,
) -> None:
    """Ask baseline NAME about a PICTURE (PNG, JPEG); masks of the picture's size go to the folder OUTPUT."""
    from semantiseg.models.baselines.ask_picture import ask_picture
    from semantiseg.models.baselines.catalogue import weights_root

    root = weights_root(weights)
    for line in ask_picture(name, picture, output, texts=texts, boxes=boxes, weights=root, formula=formula_weights):
        click.echo(line)


@baselines.command("run")
@click.argument("name")
@click.option("--boxes", "protocol", help="oracle_target, oracle_parent or grounder_MODEL; none for text.")
@click.option("--composed", is_flag=True, help="Ask for the nouns of each sentence, combined as its program says.")
@click.option("--nsd-tolerance-mm", type=click.FloatRange(min=0), default=2.0, show_default=True)
@click.pass_obj
def run_baseline(
    weights: Path | None, name: str, protocol: str | None, composed: bool, nsd_tolerance_mm: float
) -> None:
    """Ask baseline (or installed model) NAME every test prompt; results go to data/baselines/ROW."""
    from semantiseg.evaluation.baseline import evaluate_row
    from semantiseg.models.baselines.catalogue import weights_root

    written = evaluate_row(
        name,
        protocol=protocol,
        composed=composed,
        weights=weights_root(weights),
        data=ROOT / "data",
        nsd_tolerance_mm=nsd_tolerance_mm,
    )
    click.echo(f"{written}: results.parquet, masks.parquet")


@baselines.command("table")
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--clean", is_flag=True, help="Only cases that no model of the table is known or suspected to have seen.")
@click.option("--private", multiple=True, help="A collection never published: its cases are clean.")
@click.pass_obj
def baseline_table(weights: Path | None, output: Path, clean: bool, private: tuple[str, ...]) -> None:
    """Write Table 1 with the baselines' rows, and rows for absent ones that say so, into OUTPUT."""
    from semantiseg.models.baselines.catalogue import weights_root
    from semantiseg.report.baseline_rows import write_table

    click.echo(write_table(ROOT, output, weights=weights_root(weights), clean=clean, private=private))


@main.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path("site"), show_default=True, help="A folder.")
def site(output: Path) -> None:
    """Write the case explorer of the test split below OUTPUT: static pages, to be opened from disk or a server."""
    from semantiseg.report.explorer.build import build

    click.echo(build(ROOT, output / "explorer"))


@main.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("sentences", nargs=-1, required=True, metavar="SENTENCE...")
@click.option("--model", type=click.Path(path_type=Path), default=Path("data/models/token"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="NIfTI file for the masks.")
@click.option("--overlay", type=click.Path(path_type=Path), help="Picture (PNG) of the masks over the image.")
@click.option("--compose", is_flag=True, help="Read the sentence to a program and ask the model its nouns.")
@click.option("--reader", type=click.Choice(["strict", "lenient"]), default="strict", show_default=True)
@click.option("--modality", type=click.Choice(["CT", "MR"]), help="Told from the values if not given.")
@click.option("--site", type=click.Choice(["abdomen", "lung"]), default="abdomen", show_default=True, help="CT window.")
@click.option("--channel", type=int, help="Of a 4D image, counted from 0.")
@click.option("--spacing-mm", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True)
def segment(image: Path, sentences: tuple[str, ...], compose: bool, reader: str, **options: Any) -> None:
    """Mark what each SENTENCE asks for in a NIfTI IMAGE; write the masks in the image's geometry."""
    from semantiseg.report.segment import segment_file

    for marked in segment_file(image, sentences, reader=reader if compose else None, **options):
        click.echo(f"{marked.text}: {marked}")


@main.command()
def info() -> None:
    """Print version, processor, cores and library versions as JSON."""
    import json

    from semantiseg import measure

    click.echo(json.dumps({"semantiseg": __version__, **measure.machine()}, indent=1))


if __name__ == "__main__":
    main()
