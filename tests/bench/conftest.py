"""The six cases of `drawn_volumes.py`, for the tests of this folder."""

from drawn_volumes import volumes

__all__ = ["volumes"]
