"""Verbs about anybody's predictions: score them, collect submissions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("score")
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option("--bench", type=click.Path(path_type=Path), required=True, help="A release, images attached; or data.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write [default: scores/NAME].")
@click.option("--name", help="The model's name [default: that of PREDICTIONS].")
@click.option("--prompting", default="text", show_default=True, help="What the model was given.")
@click.option("--link", default="", help="Paper, code or weights.")
@click.option("--trained-on", multiple=True, metavar="COLLECTION",
              help="Trained on, by the benchmark's name; NAME:train for its training split only; none. Repeatable.")
@click.option("--tiny", is_flag=True, help="Only the 100 prompts of the tiny suite, which predict the ranking.")
@click.option("--tolerance", type=float, default=2.0, show_default=True, help="Of the surface Dice, in mm.")
@click.option("--resamples", type=int, default=20000, show_default=True, help="Bootstrap over patients.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option("--missing", type=click.Choice(["refuse", "worst"]), default="refuse", show_default=True,
              help="Prompts without an answer: stop, or count as the worst answer possible.")  # fmt: skip
@click.option("--order", type=click.Choice(["row", "column"]), default="row", show_default=True,
              help="How run lengths go over a mask; column as in COCO and MATLAB.")  # fmt: skip
@click.option("--as-is", is_flag=True, help="Score masks that look turned, flipped or inverted, too.")
@click.option("--resume", is_flag=True, help="Go on where a run was stopped, and keep what is done if this one fails.")
@click.option("--workers", type=int, default=1, show_default=True, help="Processes.")
def score_command(predictions: Path, bench: Path, out: Path | None, name: str | None, **options: Any) -> None:
    """Score PREDICTIONS: a folder of masks named PROMPT_ID.png or .nii.gz, or a Parquet file of run lengths."""
    from semantiseg.extras import lacking
    from semantiseg.files import check_folder
    from semantiseg.scoring import leaderboard as ranks
    from semantiseg.scoring import scorecard
    from semantiseg.scoring.benchmark import Benchmark

    seen = options.pop("trained_on")
    entry = scorecard.Entrant(
        name or predictions.name.split(".")[0], options.pop("prompting"), options.pop("link"),
        tuple(item for item in seen if item != "none") if seen else None,
    )  # fmt: skip
    place = out or Path("scores") / entry.model
    options["nsd_tolerance_mm"] = options.pop("tolerance")
    check_folder(place, verb="score", inputs=[predictions, bench])  # before anything is read
    benchmark = Benchmark(bench, tiny=options.pop("tiny"))
    card = scorecard.score(predictions, bench=benchmark, out=place, entry=entry, **options)
    click.echo(ranks.markdown([ranks.read(place / ranks.SUBMISSION)]))
    click.echo(f"{place}: {len(card.results)} prompts, {len(card.missing)} without an answer")
    if without := lacking("paper"):
        click.echo(f"{place}: no figure levels.png, .pdf, .svg: {without}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("scores"))
def leaderboard(folder: Path) -> None:
    """Check every submission in FOLDER [scores, where `score` writes] and print the leaderboard."""
    from semantiseg.scoring.leaderboard import markdown, read_all

    click.echo(markdown(read_all(folder)), nl=False)
