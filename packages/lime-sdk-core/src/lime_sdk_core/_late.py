"""Modules that are imported when something in them is first asked for.

`import lime_agents` and `import lime_sites` stand at the top of programs that may never log in
anywhere, such as a command that only prints its help. pydantic and the models made of it cost such
a program more than all the rest of an SDK, so the modules that need them name them this way:

    if TYPE_CHECKING:
        from lime_sites import _wire
    else:
        _wire = Late("lime_sites._wire")

A client loads what it needs when it is made, so that no answer waits for an import.
"""

from importlib import import_module
from typing import Any


class Late:
    """Stands for the module `name`, and imports it at the first look at one of its attributes."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # Python asks here only for what is not there yet: kept, the next look costs nothing extra.
        found = getattr(import_module(self._name), attribute)
        setattr(self, attribute, found)
        return found
