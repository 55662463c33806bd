"""What can go wrong with the embedded engines.

    EngineError
      EnginesMissingError    nothing to run was found; says what to install
      FolderInUseError       somebody else works in the data folder; names the process
      FolderUnusableError    the data folder cannot serve as one; says why
      StartFailedError       an engine gave up or took too long; quotes its last words

Every message is a sentence for the person at the terminal, and needs no traceback beside it.
"""

from __future__ import annotations


class EngineError(Exception):
    """The embedded engines cannot run."""


class EnginesMissingError(EngineError):
    """No PostgreSQL or no Valkey was found on this machine."""


class FolderInUseError(EngineError):
    """Another process works in this data folder."""


class FolderUnusableError(EngineError):
    """This folder cannot hold the engines' data."""


class StartFailedError(EngineError):
    """An engine did not become ready."""
