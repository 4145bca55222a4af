"""Typed errors. Every message reads: expected ..., got ..., the remedy; and names the file or parameter at fault."""

from __future__ import annotations

import errno


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


class OutputError(SemantiSegError):
    """A verb may not write where it was told to: it would destroy what is not its own, or what it reads."""


class NotebookError(SemantiSegError):
    """A notebook source is not what the runner can execute: unreadable, or without a proper parameters cell."""


class ExtraError(SemantiSegError):
    """A package is not installed that only some of the work needs."""


_REMEDIES = {
    errno.ENOSPC: "Make room on that disk",
    errno.EDQUOT: "Make room within your quota",
    errno.EACCES: "Give yourself the right to it, or name another place",
    errno.EPERM: "Give yourself the right to it, or name another place",
    errno.EROFS: "Name a place that can be written to",
    errno.EMFILE: "Raise the limit of open files (`ulimit -n 1024`)",
    errno.ENFILE: "Close other programs, or raise the system's limit of open files",
    errno.ENOMEM: "Free memory",
    errno.ENAMETOOLONG: "Choose a shorter name",
    errno.ELOOP: "Mend the link that leads back to itself",
    errno.EADDRNOTAVAIL: "Bring up the loopback device (`ip link set lo up`)",
    errno.ENETUNREACH: "Bring up the network or the loopback device (`ip link set lo up`)",
}


def system_message(error: OSError) -> str:
    """What the operating system refused, as the user should read it: a full disk, a read-only folder, too few files."""
    where = f"{error.filename}: " if error.filename is not None else ""
    remedy = _REMEDIES.get(error.errno or 0, "Mend that")
    return f"{where}expected to use it, got: {error.strerror or error}. {remedy}, then run again."
