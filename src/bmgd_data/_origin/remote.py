"""Upstream or a mirror: the archive comes over the network, and is kept."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from bmgd_data._container import folder
from bmgd_data._origin import fetch, sources, trust
from bmgd_data._origin.origin import Origin
from bmgd_data._system import home
from bmgd_data._system.progress import bar
from bmgd_data.errors import BMGDWarning, DatasetNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data._origin.trust import Seen


class Remote(Origin):
    """One condition of a server's archives."""

    def key(self, *, noted: bool = True) -> str | None:  # noqa: ARG002 - nothing else tells it
        """What is pinned, or else what was seen first."""
        return trust.expected(self.wanted.source, self.wanted.condition, self.seen)

    def require_reachable(self, *, online: bool, again: bool) -> None:
        """Stop where nothing is here and nothing may be fetched."""
        if online:
            return
        if again and self.seen:
            raise self._not_again()
        if not any(map(os.path.exists, (self.wanted.archive, self._old))):
            raise self._not_here()

    def obtain(self, *, online: bool, again: bool) -> Seen:
        """The archive from the cache, or else from the server."""
        wanted, seen = self.wanted, None if again else self.seen
        source, archive = wanted.source, wanted.archive

        if self._old.is_file() and not archive.exists():
            archive.parent.mkdir(parents=True, exist_ok=True)
            self._old.replace(archive)
        key = folder.sha256(archive) if archive.is_file() and not again else None
        expected = trust.expected(source, wanted.condition, seen)
        if key is None or expected not in (None, key):
            if not online:
                if key is not None:
                    trust.compare(source, wanted.condition, seen, key, str(archive))
                raise self._not_here()
            key = self._download(seen)
        if not isinstance(source, sources.Upstream):
            self._compare_with_upstream(key)
        return self._is_now(key, archive.stat().st_size)

    def _download(self, seen: Seen | None) -> str:
        source, archive = cast("sources.Mirror", self.wanted.source), self.wanted.archive
        condition, missing = self.wanted.condition, []
        with bar(f"fetching {archive.name}", in_bytes=True) as progress:
            for url in source.urls(condition):
                check = partial(trust.compare, source, condition, seen, where=url)
                try:
                    return fetch.download(url, archive, check, progress, source.auth)
                except DatasetNotFoundError as error:
                    missing.append(error)
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

    @property
    def _old(self) -> Path:
        wanted = self.wanted
        return home.old_archive(wanted.root, wanted.source.slug, wanted.condition)

    def _not_again(self) -> DatasetNotFoundError:
        wanted = self.wanted
        return DatasetNotFoundError(
            f"{wanted.condition.name} of {wanted.source.label} cannot be fetched again "
            f"({_why_offline()}); what was read before is untouched. Run it again where the "
            "network may be used, or read what is there without --accept-changed."
        )

    def _not_here(self) -> DatasetNotFoundError:
        wanted = self.wanted
        return DatasetNotFoundError(
            f"{wanted.condition.name} of {wanted.source.label} is not in {wanted.root}, and "
            f"nothing is fetched ({_why_offline()}). Run `bmgd download` where the network may be "
            "used, or give a folder that holds the archives as source= (or BMGD_SOURCE), or set "
            "BMGD_HOME to where the data is."
        )


def _why_offline() -> str:
    return "BMGD_OFFLINE is set" if home.offline() else "download=False"
