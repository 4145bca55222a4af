"""The command line: `semantiseg VERB`. The verbs are in `commands/`."""

from __future__ import annotations

from typing import Any

import click

from semantiseg import __version__
from semantiseg.commands import artifact, collections, models, project
from semantiseg.errors import SemantiSegError, system_message
from semantiseg.extras import extras_named


class CommandLine(click.Group):
    """Prints the project's own errors as one message, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with extras_named():
                return super().invoke(ctx)
        except SemantiSegError as error:
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:  # click ends quietly where the reader of a pipe has gone
            raise
        except OSError as error:
            raise click.ClickException(system_message(error)) from None


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="semantiseg")
def main() -> None:
    """SemantiSeg: text-prompted medical segmentation, and what happens to it when the prompt gets harder.

    Run the verbs in the project's folder (the one that holds dvc.yaml).
    """


for verb in (
    project.reproduce_command,
    project.workspace_command,
    project.profile,
    project.stage,
    project.notebooks,
    project.fresh,
    project.compare_table,
    project.publish_command,
    project.readme,
    project.info,
    collections.fetch_command,
    collections.check_command,
    collections.plan_command,
    collections.bench,
    models.train_command,
    models.ablation,
    models.segment,
    models.read_command,
    models.baselines,
    models.score_command,
    models.leaderboard,
    artifact.site,
    artifact.verify_command,
    artifact.manifest_command,
    artifact.badge,
    artifact.release_command,
    artifact.bundle_command,
    artifact.record_command,
):
    main.add_command(verb)


if __name__ == "__main__":
    main()
