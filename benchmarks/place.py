"""One scale of the data, and what is measured there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from peer import Peer


class Place(NamedTuple):
    """Archives, the store that is built from them, and who else is measured on them."""

    times: int
    """How many times the images of the source."""
    source: Path
    root: Path
    folder: Path | None
    """Where the archives lie unpacked; None where plain files and the peer are left out."""
    peer: Peer | None
