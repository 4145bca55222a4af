"""Verbs about the benchmark: fetch the collections, plan, word prompts anew, release, attach."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from semantiseg.commands import ROOT
from semantiseg.errors import ParameterError


@click.command("fetch")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("collections", nargs=-1, metavar="[COLLECTION]...")
@click.option("--limit", type=click.IntRange(min=1), help="Cases of each Decathlon task and of KiTS23; default: all.")
@click.option("--jobs", type=click.IntRange(min=1), default=4, show_default=True, help="Transfers at a time.")
@click.option("--from", "by_hand", type=click.Path(path_type=Path), help="List what you downloaded by hand into here.")
@click.option("--verify", is_flag=True, help="Fetch nothing; read every fetched file and compare its checksum.")
def fetch_command(
    folder: Path, collections: tuple[str, ...], limit: int | None, jobs: int, by_hand: Path | None, verify: bool
) -> None:
    """Fetch official COLLECTIONs (none: list them) into FOLDER; run it again to go on after a cut.

    BraTS needs your Synapse token in SYNAPSE_AUTH_TOKEN. The demo never fetches anything.
    """
    from semantiseg.data.official.fetch import carry_out

    for line in carry_out(folder, collections, limit=limit, jobs=jobs, by_hand=by_hand, verify=verify):
        click.echo(line)


@click.command("check")
@click.argument("folders", nargs=-1, required=True, type=click.Path())
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As for `reproduce`.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: cases, patients, problems, warnings, collections.")
@click.option("--picture", type=click.Path(path_type=Path), help="A page of slices with their labels, PNG or PDF.")
def check_command(folders: tuple[str, ...], settings: tuple[str, ...], as_json: bool, picture: Path | None) -> None:
    """Say what the pipeline understands of the images in FOLDERS; train and write nothing. Exit 1 with problems."""
    import json
    import shlex

    from semantiseg.data import understanding
    from semantiseg.params import with_settings

    choices = understanding.choices_of(with_settings("own", settings))
    found = understanding.understand_folders(shlex.join(folders), choices)
    click.echo(json.dumps(understanding.summary(found), indent=1) if as_json else understanding.report_text(found))
    if picture is not None:
        from semantiseg.data.understanding import draw_slices

        draw_slices([one.collection for one in found], picture)
    sys.exit(1 if any(one.collection.problems for one in found) else 0)


@click.command("plan")
@click.option("--profile", "name", default="paper", show_default=True, help="Size of the benchmark.")
@click.option("--volumes", type=click.IntRange(min=1), help="Volumes in place of the profile's.")
@click.option("--cases", multiple=True, metavar="COLLECTION=N", help="Labelled cases in place of the published count.")
def plan_command(name: str, volumes: int | None, cases: tuple[str, ...]) -> None:
    """Print what SemantiBench can be made of, from the collections' published numbers; needs no data."""
    from semantiseg.bench.ask import planning

    counts = dict(item.partition("=")[::2] for item in cases)
    if not all(count.isdigit() for count in counts.values()):
        raise ParameterError(f"plan: expected --cases COLLECTION=N, got {' '.join(cases)!r}.")
    planned = planning.plan(name, cases={key: int(count) for key, count in counts.items()}, total=volumes)
    for line in planning.lines(planned):
        click.echo(line)


@click.group()
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
def rewrite_command(
    output: Path, limit: int | None, texts: int, attempts: int, second_opinion: bool, **options: Any
) -> None:  # fmt: skip
    """Have the core test prompts worded anew; write rewritten.parquet, what was refused and all answers to OUTPUT.

    Answers are kept: after a failure, a kill or an exhausted budget, the same command goes on without paying twice.
    """
    from semantiseg import files
    from semantiseg.llm.asking import asker_of
    from semantiseg.llm.rewriting import rewrite_bench

    if second_opinion and options["backend"] != "server":
        raise ParameterError("--second-opinion: expected --backend server, got another. The others have no opinions.")
    files.claim(output, verb="bench rewrite", inputs=[ROOT], own=("answers", "rewritten*.parquet"))
    asker = asker_of(output / "answers", **options)
    made, refused = rewrite_bench(
        ROOT / "data/volumes", ROOT / "data/bench", output, asker,
        texts_per_prompt=texts, attempts=attempts, limit=limit, opinion=asker if second_opinion else None,
    )  # fmt: skip
    click.echo(f"{output}: {len(made)} prompts worded anew, {len(refused)} refusals")


@bench.command("release")
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--date", default="", help="Date of publication, YYYY-MM-DD.")
def release_bench(output: Path, date: str) -> None:
    """Write the bench as a dataset to OUTPUT: Parquet, Croissant, card, licences; no voxels."""
    from semantiseg.bench.release.publication import write_release

    data = ROOT / "data"
    rows = write_release(data / "raw", data / "volumes", data / "bench", output, published=date)
    for name, count in rows.items():
        click.echo(f"{output}/{name}.parquet: {count:,} rows")


@bench.command("attach")
@click.argument("release", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path))
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True)
def attach_command(release: Path, images: Path, workers: int) -> None:
    """Find the files that RELEASE speaks of below IMAGES, prepare them in RELEASE/volumes, check every target.

    Then `semantiseg score MASKS --bench RELEASE` scores answers to the prompts about them.
    """
    from semantiseg.bench.release.attach import attach

    found = attach(release, images, workers=workers)
    click.echo(f"{found.cases} cases prepared in {release / 'volumes'}, {len(found.missing)} volumes not found")
    for volume_id in found.missing[:10]:
        click.echo(f"not found: {volume_id}")
    click.echo(f"{found.prompts} prompts checked, {len(found.differing)} targets differ")
    sys.exit(1 if found.differing else 0)
