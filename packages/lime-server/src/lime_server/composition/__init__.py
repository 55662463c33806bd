"""The one place where concrete things meet."""

from lime_server.composition.build import build
from lime_server.composition.parts import Parts, open_parts

__all__ = ["Parts", "build", "open_parts"]
