"""Verbs about models: train, answer sentences about a file, ask the baselines."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from semantiseg.commands.reading import reader_options
from semantiseg.commands.root import ROOT


@click.command()
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


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path("ablation"), show_default=True)
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2), show_default=True, help="Repeatable.")
@click.option("--variant", "names", multiple=True, help="Only this one [all]. Repeatable.")
@click.option("--steps", type=click.IntRange(min=1), help="Optimiser steps of each training [params.yaml].")
@click.option("--lanes", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings side by side.")
def ablation(output: Path, seeds: tuple[int, ...], names: tuple[str, ...], steps: int | None, lanes: int) -> None:
    """Train and score the default with one thing changed at a time (hours); goes on where it was cut off."""
    import pandas as pd

    from semantiseg.report.ablation import run
    from semantiseg.report.ablation_text import report

    table = run(ROOT, output, seeds=seeds, names=names, steps=steps, lanes=lanes)
    click.echo(report(table, pd.read_csv(output / "curves.csv")))


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("sentences", nargs=-1, required=True, metavar="SENTENCE...")
@click.option("--model", type=click.Path(path_type=Path), default=Path("data/models/token"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="NIfTI file for the masks.")
@click.option("--overlay", type=click.Path(path_type=Path), help="Picture (PNG) of the masks over the image.")
@click.option("--compose", is_flag=True, help="Read the sentence to a program and ask the model its nouns.")
@click.option("--modality", type=click.Choice(["CT", "MR"]), help="Told from the values if not given.")
@click.option("--site", type=click.Choice(["abdomen", "lung"]), default="abdomen", show_default=True, help="CT window.")
@click.option(
    "--intensity", type=click.Choice(["HU", "HU+1024", "rescaled", "z-scored"]), default="",
    help="Scale of a CT; recognised if not given.",
)  # fmt: skip
@click.option("--channel", type=int, help="Of a 4D image, counted from 0.")
@click.option("--spacing-mm", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True)
@click.option(
    "--accelerator", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where it answers."
)
@reader_options("compose")
def segment(image: Path, sentences: tuple[str, ...], **options: Any) -> None:
    """Mark what each SENTENCE asks for in a NIfTI IMAGE; write the masks in the image's geometry."""
    from semantiseg.report.segment import segment_file

    for marked in segment_file(image, sentences, tell=partial(click.echo, err=True), **options):
        # An argument that is no UTF-8 comes with lone surrogates, which no terminal takes.
        click.echo(f"{marked.text}: {marked}".encode("utf-8", "backslashreplace").decode())


@click.group(invoke_without_command=True)
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
@reader_options("composed")
def run_baseline(weights: Path | None, name: str, **options: Any) -> None:
    """Ask baseline (or installed model) NAME every test prompt; results go to data/baselines/ROW."""
    from semantiseg.evaluation.baseline import evaluate_row
    from semantiseg.models.baselines.catalogue import weights_root

    written = evaluate_row(name, weights=weights_root(weights), data=ROOT / "data", **options)
    click.echo(f"{written}: results.parquet, masks.parquet{', reading.json' if options['reader'] else ''}")


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
