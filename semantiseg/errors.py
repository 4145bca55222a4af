"""Typed errors. Every message reads: expected ..., got ..., the remedy; and names the file or parameter at fault."""

from __future__ import annotations


class SemantiSegError(Exception):
    """Base of all errors that a user can cause and mend."""


class ParameterError(SemantiSegError):
    """A parameter is unknown, missing, mistyped or out of range."""


class DataError(SemantiSegError):
    """An image, label map or dataset description cannot be used as it is."""


class OntologyError(SemantiSegError):
    """A label or structure is not known to the ontology."""


class ProgramError(SemantiSegError):
    """A program's text does not parse, or it cannot be evaluated on this label map."""


class PromptError(SemantiSegError):
    """A prompt's text cannot be read."""


class ModelError(SemantiSegError):
    """A model cannot be built, loaded or asked in this way."""


class StageError(SemantiSegError):
    """A pipeline stage failed; the message names the stage, the cause and the remedy."""


class NotebookError(SemantiSegError):
    """A notebook source is not what the runner can execute: unreadable, or without a proper parameters cell."""
