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
        click.option("--profile", default="demo", show_default=True, help="demo, smoke, own or paper."),
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
@click.argument("model")
@click.option("--accelerator", type=click.Choice(["cpu", "cuda"]), default="cuda", show_default=True)
@click.option("--devices", type=click.IntRange(min=1), default=1, show_default=True, help="GPUs of each machine.")
@click.option("--nodes", type=click.IntRange(min=1), default=1, show_default=True, help="Machines.")
@click.option(
    "--precision", type=click.Choice(["32-true", "bf16-mixed", "16-mixed"]), default="bf16-mixed", show_default=True
)
@click.option("--accumulate", type=click.IntRange(min=1), default=1, show_default=True, help="Parts of a step.")
@click.option("--workers", type=click.IntRange(min=0), default=4, show_default=True, help="Loaders of each GPU.")
@click.option("--every", type=click.IntRange(min=1), default=500, show_default=True, help="Steps between checkpoints.")
@click.option("--tensorboard", is_flag=True, help="Also write the curve for TensorBoard, below logs/.")
def train(model: str, **hardware: Any) -> None:
    """Train MODEL on this hardware, as params.yaml says; start it again after a cut and it goes on.

    Under torchrun or SLURM for several GPUs: docs/train_on_gpus.md. Writes data/models/MODEL.
    """
    from semantiseg.training.command import train_in_project

    train_in_project(ROOT, model, **hardware)


@main.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path("ablation"), show_default=True)
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2), show_default=True, help="Repeatable.")
@click.option("--steps", type=click.IntRange(min=1), help="Optimiser steps of each training [params.yaml].")
def ablation(output: Path, seeds: tuple[int, ...], steps: int | None) -> None:
    """Train and score the default with one thing changed at a time (hours); goes on where it was cut off."""
    from semantiseg.report.ablation import run

    run(ROOT, output, seeds=seeds, steps=steps)
    click.echo((output / "ablation.md").read_text(encoding="utf-8"))


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
@click.option("--nsd-tolerance-mm", type=click.FloatRange(min=0), default=2.0, show_default=True)
@click.pass_obj
def run_baseline(weights: Path | None, name: str, protocol: str | None, nsd_tolerance_mm: float) -> None:
    """Ask baseline (or installed model) NAME every test prompt; results go to data/baselines/ROW."""
    from semantiseg.evaluation.baseline import evaluate_row
    from semantiseg.models.baselines.catalogue import weights_root

    written = evaluate_row(
        name, protocol=protocol, weights=weights_root(weights), data=ROOT / "data", nsd_tolerance_mm=nsd_tolerance_mm
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
    """Write the site into OUTPUT: start page, notebooks, guides, reference, case explorer; it opens from disk."""
    from semantiseg.report.site.build import build

    for line in build(ROOT, output):
        click.echo(line)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("collections", nargs=-1, metavar="[COLLECTION]...")
@click.option("--limit", type=click.IntRange(min=1), help="Cases of each Decathlon task and of KiTS23; default: all.")
@click.option("--jobs", type=click.IntRange(min=1), default=4, show_default=True, help="Transfers at a time.")
@click.option("--from", "by_hand", type=click.Path(path_type=Path), help="List what you downloaded by hand into here.")
@click.option("--verify", is_flag=True, help="Fetch nothing; read every fetched file and compare its checksum.")
def fetch(
    folder: Path, collections: tuple[str, ...], limit: int | None, jobs: int, by_hand: Path | None, verify: bool
) -> None:
    """Fetch official COLLECTIONs (none: list them) into FOLDER; run it again to go on after a cut.

    BraTS needs your Synapse token in SYNAPSE_AUTH_TOKEN. The demo never fetches anything.
    """
    from semantiseg.data.official import door

    for line in door.run(folder, collections, limit=limit, jobs=jobs, by_hand=by_hand, verify=verify):
        click.echo(line)


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
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option("--bench", type=click.Path(path_type=Path), required=True, help="Holds bench/ and volumes/: data.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write [default: scores/NAME].")
@click.option("--name", help="The model's name [default: that of PREDICTIONS].")
@click.option("--prompting", default="text", show_default=True, help="What the model was given.")
@click.option("--link", default="", help="Paper, code or weights.")
@click.option("--tolerance", type=float, default=2.0, show_default=True, help="Of the surface Dice, in mm.")
@click.option("--resamples", type=int, default=20000, show_default=True, help="Bootstrap over patients.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option("--missing", type=click.Choice(["refuse", "worst"]), default="refuse", show_default=True,
              help="Prompts without an answer: stop, or count as the worst answer possible.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on where a run was stopped, and keep what is done if this one fails.")
@click.option("--workers", type=int, default=1, show_default=True, help="Processes.")
def score(predictions: Path, bench: Path, out: Path | None, name: str | None, **options: Any) -> None:
    """Score PREDICTIONS: a folder of masks named PROMPT_ID.png or .nii.gz, or a Parquet file of run lengths."""
    from semantiseg.report import scorecard

    entry = scorecard.Entry(name or predictions.name.split(".")[0], options.pop("prompting"), options.pop("link"))
    place = out or Path("scores") / entry.model
    options["nsd_tolerance_mm"] = options.pop("tolerance")
    card = scorecard.score(predictions, bench=bench, out=place, entry=entry, **options)
    click.echo(scorecard.leaderboard.markdown([scorecard.leaderboard.read(place / scorecard.SUBMISSION)]))
    click.echo(f"{place}: {len(card.results)} prompts, {len(card.missing)} without an answer")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("results"))
def leaderboard(folder: Path) -> None:
    """Check every submission (*.json) in FOLDER and print the leaderboard."""
    from semantiseg.report import leaderboard as board

    click.echo(board.markdown(board.read_all(folder)), nl=False)


@main.group()
def bench() -> None:
    """SemantiBench beyond the pipeline's stages."""


@bench.command("rewrite")
@click.option(
    "--backend", type=click.Choice(["grammar", "server", "local"]), default="grammar", show_default=True,
    help="Who words the prompts anew.",
)  # fmt: skip
@click.option("--base-url", default="", help="Address of an OpenAI-compatible server, up to /v1.")
@click.option("--model", default="", help="Model name on that server.")
@click.option("--key-variable", default="SEMANTISEG_LLM_KEY", show_default=True, help="Variable that holds the key.")
@click.option("--structured", type=click.Choice(["json_schema", "json_object", "none"]), default="json_schema")
@click.option("--texts", type=click.IntRange(min=1), default=1, show_default=True, help="Texts for each prompt.")
@click.option("--attempts", type=click.IntRange(min=1), default=3, show_default=True, help="Tries for each prompt.")
@click.option("--limit", type=click.IntRange(min=1), help="Only so many prompts.")
@click.option("--at-once", type=click.IntRange(min=1), default=4, show_default=True, help="Requests on their way.")
@click.option("--budget-tokens", type=click.IntRange(min=0), help="Most tokens, earlier runs included.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=Path("rewritten"), show_default=True)
@click.option("--second-opinion", is_flag=True, help="Have the server judge what the verifier accepted, too.")
def rewrite(
    output: Path, limit: int | None, texts: int, attempts: int, second_opinion: bool, **options: Any
) -> None:  # fmt: skip
    """Have the core test prompts worded anew; write rewritten.parquet, what was refused and all answers to OUTPUT.

    Answers are kept: after a failure, a kill or an exhausted budget, the same command goes on without paying twice.
    """
    from semantiseg.bench.backends.choice import asker_of
    from semantiseg.bench.backends.rewritten_suite import rewrite_bench

    if second_opinion and options["backend"] != "server":
        raise ParameterError("--second-opinion: expected --backend server, got another. The others have no opinions.")
    asker = asker_of(output / "answers", **options)
    made, refused = rewrite_bench(
        ROOT / "data/volumes", ROOT / "data/bench", output, asker,
        texts_per_prompt=texts, attempts=attempts, limit=limit, opinion=asker if second_opinion else None,
    )  # fmt: skip
    click.echo(f"{output}: {len(made)} prompts worded anew, {len(refused)} refusals")


@bench.command("release")
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--date", default="", help="Date of publication, YYYY-MM-DD.")
def release(output: Path, date: str) -> None:
    """Write the bench as a dataset to OUTPUT: Parquet, Croissant, card, licences; no voxels."""
    from semantiseg.bench.release.publication import release as publish_bench

    data = ROOT / "data"
    rows = publish_bench(data / "raw", data / "volumes", data / "bench", output, published=date)
    for name, count in rows.items():
        click.echo(f"{output}/{name}.parquet: {count:,} rows")


@bench.command("attach")
@click.argument("release", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True)
def attach(release: Path, images: Path, output: Path, workers: int) -> None:
    """Find the files that RELEASE speaks of below IMAGES, prepare them in OUTPUT, and check every prompt's target."""
    from semantiseg.bench.release.attach import attach as join

    found = join(release, images, output, workers=workers)
    click.echo(f"{found.cases} cases prepared in {output}, {len(found.missing)} volumes not found")
    for volume_id in found.missing[:10]:
        click.echo(f"not found: {volume_id}")
    click.echo(f"{found.prompts} prompts checked, {len(found.differing)} targets differ")
    sys.exit(1 if found.differing else 0)


@main.command()
@click.option("--profile", "name", default="paper", show_default=True, help="Size of the benchmark.")
@click.option("--volumes", type=click.IntRange(min=1), help="Volumes in place of the profile's.")
@click.option("--cases", multiple=True, metavar="COLLECTION=N", help="Labelled cases in place of the published count.")
def plan(name: str, volumes: int | None, cases: tuple[str, ...]) -> None:
    """Print what SemantiBench can be made of, from the collections' published numbers; needs no data."""
    from semantiseg.bench import planning

    counts = dict(item.partition("=")[::2] for item in cases)
    if not all(count.isdigit() for count in counts.values()):
        raise ParameterError(f"plan: expected --cases COLLECTION=N, got {' '.join(cases)!r}.")
    planned = planning.plan(name, cases={key: int(count) for key, count in counts.items()}, total=volumes)
    for line in planning.lines(planned):
        click.echo(line)


@main.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
@click.option(
    "--against", multiple=True, type=click.Path(path_type=Path), help="Folder of another run to compare with."
)
@click.option(
    "--tolerance", type=click.FloatRange(min=0), default=0.05, show_default=True, help="Of numbers of another machine."
)
def verify_(as_json: bool, against: tuple[Path, ...], tolerance: float) -> None:
    """Check what is committed, as a reviewer would, on one page; exit 1 if anything fails. Needs no data."""
    import json

    from semantiseg.artifact import verify

    checks = verify.verify(ROOT, tolerance=tolerance, against=against)
    click.echo(json.dumps(verify.record(checks, ROOT), indent=1) if as_json else verify.page(checks, ROOT))
    sys.exit(0 if verify.passed(checks) else 1)


@main.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path("artifact_appendix.md"), show_default=True)
def badge(output: Path) -> None:
    """Write the artifact appendix: ACM, NeurIPS, MICCAI and CLAIM items, and a command for every claim."""
    from semantiseg import files
    from semantiseg.artifact import appendix, verify

    files.write(output, appendix.appendix(ROOT, verify.verify(ROOT)))
    click.echo(f"{output}: written")


@main.command()
@click.argument("output", type=click.Path(path_type=Path))
def release(output: Path) -> None:
    """Pack code, results, prompts and the default model with checksums into the archive OUTPUT (.tar.gz)."""
    from semantiseg import files
    from semantiseg.artifact.release import release as pack

    names = pack(ROOT, output)
    click.echo(
        f"{output}: {len(names)} files, {output.stat().st_size / 2**20:.1f} MiB, sha256 {files.fingerprint(output)}"
    )


@main.command()
def info() -> None:
    """Print version, processor, cores and library versions as JSON."""
    import json

    from semantiseg import measure

    click.echo(json.dumps({"semantiseg": __version__, **measure.machine()}, indent=1))


if __name__ == "__main__":
    main()
