"""Upstream or a mirror: the archive is downloaded and kept."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from bmgd_data._container import folder
from bmgd_data._origin import fetch, sources, trust
from bmgd_data._origin.origin import Origin
from bmgd_data._system import home
from bmgd_data._system.progress import bar
from bmgd_data.errors import (
    BMGDError,
    BMGDWarning,
    DamagedArchiveError,
    DatasetNotFoundError,
    DownloadError,
)

if TYPE_CHECKING:
    from bmgd_data import facts
    from bmgd_data._origin.sources import Wanted
    from bmgd_data._origin.trust import Seen


class Remote(Origin):
    """One condition of a server's archives."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self._name = f"{wanted.condition.name} of {wanted.source.label}"

    def key(self, *, noted: bool = True) -> str | None:  # noqa: ARG002
        return trust.expected(self.wanted, self.seen)

    def require_reachable(self, *, online: bool, again: bool) -> None:
        if online:
            return
        if again and self.seen:
            raise DatasetNotFoundError(
                f"{self._name} cannot be fetched again ({_why_offline()}); the data read before is "
                "untouched. Run it again where the network may be used, or read the data without "
                "--accept-changed."
            )
        if not os.path.exists(self.wanted.archive):  # noqa: PTH110 - never PermissionError
            raise self._not_here()

    def obtain(self, *, online: bool, again: bool) -> Seen:
        wanted, seen = self.wanted, None if again else self.seen
        source, archive = wanted.source, wanted.archive
        key = folder.sha256(archive) if archive.is_file() and not again else None
        expected = trust.expected(wanted, seen)
        if key is None or expected not in (None, key):
            if not online:
                if key is not None:
                    trust.compare(wanted, seen, key, str(archive))
                raise self._not_here()
            key = self._download(seen)
        if source.kind == "mirror":
            self._compare_with_upstream(key)
        return self._seen_now(key, archive.stat().st_size)

    def _download(self, seen: Seen | None) -> str:
        source, archive = self.wanted.source, self.wanted.archive
        missing: list[BMGDError] = []
        with bar(f"fetching {archive.name}", in_bytes=True) as progress:
            for url in urls(source, self.wanted.condition):
                check = partial(trust.compare, self.wanted, seen, where=url)
                try:
                    return fetch.download(url, archive, check, progress, auth(source))
                except (DatasetNotFoundError, DamagedArchiveError) as error:
                    missing.append(error)  # some servers send a page in place of a 404
                except DownloadError as error:
                    hint = trust.kept_instead(self.wanted)
                    raise (DownloadError(f"{error} {hint}") if hint else error) from None
        raise missing[0]

    def _compare_with_upstream(self, key: str) -> None:
        wanted = self.wanted
        upstream = trust.recall(replace(wanted, source=sources.resolve("upstream")).note)
        if upstream is not None and upstream.key != key:
            warnings.warn(
                f"{wanted.condition.archive} of the mirror {wanted.source.label} (sha256 {key}) is "
                f"not the one that upstream sent on {upstream.first_seen} ({upstream.key}).",
                BMGDWarning,
                stacklevel=2,
            )

    def _not_here(self) -> DatasetNotFoundError:
        hint = trust.kept_instead(self.wanted)
        return DatasetNotFoundError(
            f"{self._name} is not in {self.wanted.root}, and nothing is fetched "
            f"({_why_offline()}). {hint}{' Or run' if hint else 'Run'} `bmgd download` where the "
            "network may be used, or give a folder that holds the archives as source= (or "
            "BMGD_SOURCE), or set BMGD_HOME to where the data is."
        )


def urls(source: sources.Source, condition: facts.Condition) -> list[str]:
    """Addresses that a condition's archive may have, without user and password."""
    names = [condition.archive]
    if source.kind == "mirror":  # a GitHub release has dots where the file had spaces
        names.append(condition.archive.replace(" ", "."))
    return [f"{source.public.rstrip('/')}/{quote(name)}" for name in names]


def auth(source: sources.Source) -> tuple[str, str] | None:
    """User and password, if the address holds them."""
    address = urlsplit(source.location)
    if address.username is None:
        return None
    return unquote(address.username), unquote(address.password or "")


def _why_offline() -> str:
    return "BMGD_OFFLINE is set" if home.offline() else "download=False"
