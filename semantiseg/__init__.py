"""SemantiSeg: the reproducible artifact of "Beyond 'Segment Anything'" (semantic collapse in medical image parsing)."""

__version__ = "0.1.0"

__doors__ = {
    "load": "semantiseg.segment",
    "example": "semantiseg.segment",
    "load_benchmark": "semantiseg.scoring.benchmark",
    "score": "semantiseg.scoring.scorecard",
}
__all__ = ["example", "load", "load_benchmark", "score"]


def __getattr__(name: str) -> object:
    """What `import semantiseg as ss` offers, imported when it is first asked for."""
    if name not in __doors__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(__doors__[name]), name)
