"""Verbs for readers and reviewers: the site, the check, the archive."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from semantiseg.commands import ROOT
from semantiseg.errors import ParameterError


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path("site"), show_default=True, help="A folder.")
def site(output: Path) -> None:
    """Write the site into OUTPUT: start page, notebooks, guides, reference, case explorer; it opens from disk."""
    from semantiseg.site import build_site

    for line in build_site(ROOT, output):
        click.echo(line)


@click.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
@click.option(
    "--against", multiple=True, type=click.Path(path_type=Path), help="Folder of another run to compare with."
)
def verify_command(as_json: bool, against: tuple[Path, ...]) -> None:
    """Check what is committed, as a reviewer would, on one page; exit 1 if anything fails. Needs no data."""
    import json

    from semantiseg.artifact import verify

    checks = verify.verify(ROOT, against=against)
    click.echo(json.dumps(verify.as_record(checks, ROOT), indent=1) if as_json else verify.page(checks, ROOT))
    sys.exit(0 if verify.passed(checks) else 1)


@click.command("manifest")
def manifest_command() -> None:
    """Write manifest.sha256, the checksums of every tracked file that no stage makes; `verify` compares them."""
    from semantiseg import files
    from semantiseg.artifact import manifest

    content = manifest.manifest_text(ROOT)
    files.write(ROOT / manifest.MANIFEST, content)
    click.echo(f"{manifest.MANIFEST}: {len(content.splitlines())} files")


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path("artifact_appendix.md"), show_default=True)
def badge(output: Path) -> None:
    """Write the artifact appendix: ACM, NeurIPS, MICCAI and CLAIM items, and a command for every claim."""
    from semantiseg import files
    from semantiseg.artifact import appendix, verify

    files.check_file(output, inputs=[], opening=appendix.TITLE.encode())
    files.write(output, appendix.appendix(ROOT, verify.verify(ROOT)))
    click.echo(f"{output}: written")


@click.command("release")
@click.argument("output", type=click.Path(path_type=Path))
def release_command(output: Path) -> None:
    """Pack code, results, prompts and the default model with checksums into the archive OUTPUT (.tar.gz)."""
    from semantiseg import files
    from semantiseg.artifact.release import write_archive

    names = write_archive(ROOT, output)
    click.echo(
        f"{output}: {len(names)} files, {output.stat().st_size / 2**20:.1f} MiB, sha256 {files.fingerprint(output)}"
    )


@click.command("bundle")
@click.argument("output", type=click.Path(path_type=Path))
def bundle_command(output: Path) -> None:
    """Pack all results of this commit, data and models included, into OUTPUT (.tar): `reproduce --from` takes them."""
    from semantiseg import files
    from semantiseg.artifact.bundle import write_bundle

    count = write_bundle(ROOT, output)
    size = output.stat().st_size / 2**20
    click.echo(f"{output}: {count} objects, {size:.0f} MiB, sha256 {files.fingerprint(output)}")


@click.command("record")
@click.argument("workspace", type=click.Path(path_type=Path))
@click.option("--source", required=True, help="Who published the images, as they ask to be named.")
@click.option("--licence", required=True, help="Licence of the images.")
@click.option("--command", "repeat", required=True, help="What repeats the run, for whoever has the images.")
@click.option("--code", default="", help="Commit that ran; by default HEAD, if WORKSPACE holds its sources.")
@click.option("--pictures", is_flag=True, help="The licence lets a picture of these patients be published.")
def record_command(workspace: Path, source: str, licence: str, repeat: str, code: str, pictures: bool) -> None:
    """Keep what WORKSPACE found on real images, for the table of patients (figures/patients.md)."""
    from semantiseg import files
    from semantiseg.artifact.verify import commit
    from semantiseg.paper import patients

    if not code and files.fingerprint(workspace / "semantiseg") != files.fingerprint(ROOT / "semantiseg"):
        raise ParameterError(f"{workspace}: expected the sources of this checkout, got others. Give --code COMMIT.")
    found = patients.record(
        workspace, source=source, licence=licence, command=repeat, code=code or commit(ROOT) or "without Git",
        pictures=pictures,
    )  # fmt: skip
    click.echo(
        f"{found.name}: recorded, {found.patients['test']} test patients, record {found.reads} of them. "
        "Now run: dvc repro patients publish; semantiseg readme"
    )
