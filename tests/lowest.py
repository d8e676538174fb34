"""Print the lowest versions that pyproject.toml allows, as requirements for pip.

    python tests/lowest.py            of the core
    python tests/lowest.py torch hf   of the core and these extras

It needs nothing but Python, so that it can run before anything is installed.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
PROJECT = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]


def lowest(*extras: str) -> list[str]:
    """The requirements of the core and of `extras`, each at its lower bound."""
    named = dict.fromkeys([*PROJECT["dependencies"], *required(*extras)])
    return [requirement.replace(">=", "==") for requirement in named]


def required(*extras: str) -> Iterator[str]:
    """What extras require, and the extras that they name."""
    own = f"{PROJECT['name']}["
    for extra in extras:
        for requirement in PROJECT["optional-dependencies"][extra]:
            if requirement.startswith(own):
                yield from required(*requirement.removeprefix(own).rstrip("]").split(","))
            else:
                yield requirement


if __name__ == "__main__":
    print("\n".join(lowest(*sys.argv[1:])))
