"""Workers whose memory is looked at: of BMGD, and of tensors in RAM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import loaders
import streams
from remote import serve
from served import Workers

from bmgd_data import BMGD, Reader
from bmgd_data.torch import collate

if TYPE_CHECKING:
    from collections.abc import Callable


def _bmgd(source: str, root: str) -> tuple[Any, Callable[..., Any]]:
    return BMGD("all", source=source, root=root), collate


def _preloaded(source: str, root: str) -> tuple[Any, None]:
    reader = Reader("all", source=source, root=root)
    data = BMGD("all", source=source, root=root)
    arrays = streams.in_memory(loaders.single(data), len(data))
    return loaders.Preloaded(arrays, reader), None


_MAKERS = {"bmgd": _bmgd, "preloaded": _preloaded}

if __name__ == "__main__":
    serve(Workers(lambda kind, **which: _MAKERS[kind](**which)).jobs())
