"""Verbs about models and answers: train one, ask one about a file, read a sentence, run baselines, score anybody's
predictions, collect submissions."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from semantiseg.commands import ROOT
from semantiseg.errors import ParameterError, PromptError

_WITHOUT_MODEL = ("strict", "lenient", "learned")
_WITH_MODEL = ("server", "local")
_OPTIONS = (
    click.option(
        "--reader", type=click.Choice([*_WITHOUT_MODEL, *_WITH_MODEL]), default="strict", show_default=True,
        help="Who reads the sentences; server and local ask a language model.",
    ),
    click.option(
        "--reader-weights", type=click.Path(path_type=Path), default=Path("data/reader"), show_default=True,
        help="Reader learned: folder of its weights.",
    ),
    click.option("--base-url", default="", help="Reader server: its address, up to /v1."),
    click.option("--reader-model", default="", help="Reader server: the language model's name there."),
    click.option(
        "--key-variable", default="SEMANTISEG_LLM_KEY", show_default=True, help="Reader server: variable with its key."
    ),
    click.option("--structured", type=click.Choice(["json_schema", "json_object", "none"]), default="json_schema"),
    click.option("--at-once", type=click.IntRange(min=1), default=4, show_default=True, help="Requests on their way."),
    click.option("--budget-tokens", type=click.IntRange(min=0), help="Reader server: most tokens, earlier runs too."),
    click.option(
        "--answers", type=click.Path(path_type=Path), default=Path("answers"), show_default=True,
        help="Folder of a language model's kept answers.",
    ),
)  # fmt: skip


@click.command("read")
@click.argument("sentences", nargs=-1, metavar="[SENTENCE]...")
@click.option("--file", "path", type=click.Path(path_type=Path), help="Text file with one sentence a line.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a sentence.")
@click.option("--modality", type=click.Choice(["CT", "MR"]), default="CT", show_default=True, help='What "dark" means.')
def read_command(sentences: tuple[str, ...], path: Path | None, as_json: bool, modality: Any) -> None:
    """Read each SENTENCE: its program, the confidence in it, and the words that were not understood."""
    from semantiseg.language.reader.structured import understand

    given = [*sentences, *(_lines(path) if path is not None else ())]
    if not given:
        raise PromptError("read: expected sentences or --file, got none. Write what to read, such as 'left kidney'.")
    for sentence in given:
        found = understand(sentence, modality=modality)
        told = {
            "text": sentence, "program": None if found.program is None else str(found.program),
            "clauses": [asdict(clause) for clause in found.clauses], "confidence": found.confidence,
            "not_understood": list(found.not_understood), "corrections": dict(found.corrections),
            "reason": found.reason,
        }  # fmt: skip
        click.echo(json.dumps(told, ensure_ascii=False) if as_json else _said(told))


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: expected a text file in UTF-8, got {error}. Give one sentence a line.") from None


def _said(told: dict[str, Any]) -> str:
    clauses = "".join(f", {clause['attribute']} {clause['value']}" for clause in told["clauses"])
    lines = [f"{told['text']}\n  {told['program'] or 'not understood'}{clauses}  [{told['confidence']:.2f}]"]
    if told["corrections"]:
        lines.append("  read as: " + ", ".join(f"{word} -> {meant}" for word, meant in told["corrections"].items()))
    if told["not_understood"]:
        lines.append("  words not understood: " + ", ".join(told["not_understood"]))
    return "\n".join(lines + ([f"  {told['reason']}"] if told["reason"] else []))


def reader_options(switch: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options; it is called with `reader` and `asking` as `open_reader` takes them.

    Args:
        switch: name of the command's option that composes; without it `reader` is None, and to name a language model
            is a mistake.
    """

    def add(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def called(*arguments: Any, **options: Any) -> None:
            reader, composed = options.pop("reader"), options.pop(switch)
            asking = {name: options.pop(name) for name in ("base_url", "key_variable", "structured", "at_once")}
            asking |= {name: options.pop(name) for name in ("budget_tokens", "answers")}
            asking |= {"model": options.pop("reader_model"), "weights": options.pop("reader_weights")}
            if reader in _WITH_MODEL and not composed:
                raise ParameterError(f"--reader {reader}: expected --{switch}, got none. Add it.")
            command(*arguments, reader=reader if composed else None, asking=asking, **options)

        for option in reversed(_OPTIONS):
            called = option(called)
        return called

    return add


@click.command("train")
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
def train_command(model: str, **hardware: Any) -> None:
    """Train MODEL on this hardware, as params.yaml says; start it again after a cut and it goes on.

    Under torchrun or SLURM for several GPUs: docs/train_on_gpus.md. Writes data/models/MODEL.
    """
    from lightning_fabric.utilities.rank_zero import rank_zero_only

    from semantiseg.pipeline.runner import adopt
    from semantiseg.training.loop import train_in_project

    train_in_project(ROOT, model, **hardware)
    if getattr(rank_zero_only, "rank", None) in (None, 0):  # one process of many
        adopt(f"train@{model}", root=ROOT, made_by=f"semantiseg train {model}")


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path("ablation"), show_default=True)
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2), show_default=True, help="Repeatable.")
@click.option("--variant", "names", multiple=True, help="Only this one [all]. Repeatable.")
@click.option("--steps", type=click.IntRange(min=1), help="Optimiser steps of each training [params.yaml].")
@click.option("--lanes", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings side by side.")
def ablation(output: Path, seeds: tuple[int, ...], names: tuple[str, ...], steps: int | None, lanes: int) -> None:
    """Train and score the default with one thing changed at a time (hours); goes on where it was cut off."""
    import pandas as pd

    from semantiseg.evaluation.ablation import run_ablation
    from semantiseg.paper.ablation import report

    table = run_ablation(ROOT, output, seeds=seeds, names=names, steps=steps, lanes=lanes)
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
    "--intensity", type=click.Choice(["HU", "HU+1024", "rescaled", "z-scored"]),
    callback=lambda *given: given[-1] or "", help="Scale of a CT; recognised if not given.",
)  # fmt: skip
@click.option("--channel", type=int, help="Of a 4D image, counted from 0.")
@click.option("--spacing-mm", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True)
@click.option(
    "--accelerator", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where it answers."
)
@reader_options("compose")
def segment(image: Path, sentences: tuple[str, ...], **options: Any) -> None:
    """Mark what each SENTENCE asks for in an IMAGE; write the masks in the image's geometry.

    IMAGE is a NIfTI, MHA or NRRD file, the folder of a DICOM series, or a grey picture.
    """
    from semantiseg.segment import segment_file

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
    from semantiseg.baselines.catalogue import listing

    context.obj = weights
    if context.invoked_subcommand is None:
        click.echo(listing(weights, checksum=checksum))


@baselines.command("get")
@click.argument("name")
@click.pass_obj
def get_baseline(weights: Path | None, name: str) -> None:
    """Download the weights of baseline NAME from the Hugging Face hub; read their licence first."""
    from semantiseg.baselines import catalogue

    click.echo(
        f"{catalogue.download_weights(name, catalogue.weights_root(weights))}: licence as `semantiseg baselines` says"
    )


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
    from semantiseg.baselines.ask_picture import ask_picture
    from semantiseg.baselines.catalogue import weights_root

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
    from semantiseg.baselines.catalogue import weights_root
    from semantiseg.evaluation.baseline import evaluate_row

    written = evaluate_row(name, weights=weights_root(weights), data=ROOT / "data", **options)
    click.echo(f"{written}: results.parquet, masks.parquet{', reading.json' if options['reader'] else ''}")


@baselines.command("table")
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--clean", is_flag=True, help="Only cases that no model of the table is known or suspected to have seen.")
@click.option("--private", multiple=True, help="A collection never published: its cases are clean.")
@click.pass_obj
def baseline_table(weights: Path | None, output: Path, clean: bool, private: tuple[str, ...]) -> None:
    """Write Table 1 with the baselines' rows, and rows for absent ones that say so, into OUTPUT."""
    from semantiseg.baselines.catalogue import weights_root
    from semantiseg.paper.baseline_rows import write_baseline_table

    click.echo(write_baseline_table(ROOT, output, weights=weights_root(weights), clean=clean, private=private))


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
