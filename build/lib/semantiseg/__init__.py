"""SemantiSeg: the reproducible artifact of "Beyond 'Segment Anything'" (semantic collapse in medical image parsing)."""

__version__ = "0.1.0"
