"""Models of other packages: entry points of the group `semantiseg.models` that make a segmenter without arguments."""

from __future__ import annotations

from importlib.metadata import entry_points

from semantiseg.errors import ModelError
from semantiseg.models.protocol import ModelCard, PromptedSegmenter

GROUP = "semantiseg.models"
GUIDE = "docs/bring_a_model.md"


def plugin_names() -> list[str]:
    """Names of the installed models, sorted."""
    return sorted(point.name for point in entry_points(group=GROUP))


def open_plugin(name: str) -> PromptedSegmenter:
    """Make an installed model.

    Raises:
        ModelError: none of this name, it cannot be made, or it lacks a member of the protocol.
    """
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise ModelError(
            f"model: expected one of {plugin_names()}, got {name!r}. Install the package that provides it ({GUIDE})."
        )
    try:
        segmenter = next(iter(found)).load()()
    except Exception as error:  # whatever another package's code raises
        raise ModelError(
            f"entry point {name!r} of {GROUP}: expected a class or function that makes a model without arguments, got "
            f"{type(error).__name__}: {error}. Mend that package."
        ) from error
    lacking = [member for member in ("card", "needs_box", "segment") if not hasattr(segmenter, member)]
    if lacking or not isinstance(segmenter.card, ModelCard):
        raise ModelError(
            f"entry point {name!r} of {GROUP}: expected a model with a ModelCard as card, with needs_box and segment, "
            f"got one without {lacking or 'a ModelCard'}. See {GUIDE}."
        )
    return segmenter
