"""Archives over the network; the only module that knows pooch.

An archive takes its final name only after its magic bytes and its length, and its digest where one
is known, were right.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

from bmgd_data import __version__, archive, disk, facts
from bmgd_data.errors import BMGDError, ChecksumError, DatasetNotFoundError, DownloadError

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data.progress import Bar

RETRIES: Final = 3
CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 30.0
USER_AGENT: Final = f"bmgd-data/{__version__} (+{facts.PAPER_URL})"

_BUSY: Final = {403, 429}
_GONE: Final = {404, 410}
_BY_HAND: Final = (
    f"or download the archives by hand from {facts.REPOSITORY} and give their folder as source= "
    "(or BMGD_SOURCE)"
)


def download(url: str, final: Path, sha256: str | None, bar: Bar) -> None:
    """Fetch one archive; a killed or failed download leaves `final` as it was.

    Args:
        url: Its address.
        final: Where it shall lie. The caller holds the lock for it.
        sha256: What it must be, or None where nobody knows yet.
        bar: Told how much has come.

    Raises:
        DatasetNotFoundError: The server has no such file (404, 410).
        DownloadError: It cannot be reached, refuses, or breaks off, also after 3 retries.
        CorruptArchiveError: What came is no whole .7z: a page, a pointer, an empty or a cut file.
        ChecksumError: It is another archive than expected.
        StorageError: No room for it, or no right to write.
    """
    import pooch
    import requests

    incoming = final.with_name(f".{final.name}.incoming")
    shutil.rmtree(incoming, ignore_errors=True)
    with disk.explained(final.parent):
        incoming.mkdir(parents=True)
        client = pooch.create(
            path=incoming,
            base_url="",
            registry={final.name: f"sha256:{sha256}" if sha256 else None},
            urls={final.name: url},
            retry_if_failed=RETRIES,
        )
        talk = pooch.get_logger()
        level = talk.level
        talk.setLevel("ERROR")  # progress is shown by our own bar
        try:
            came = incoming / final.name
            client.fetch(final.name, downloader=_Downloader(_Transfer(bar, incoming)))
            # pooch leaves the mode of a temporary file, 0600; the folder knows what the umask says.
            came.chmod(incoming.stat().st_mode & 0o666)
            disk.fsync(came)
            came.replace(final)
            disk.fsync(final.parent)
        except BMGDError:
            raise
        except requests.exceptions.RequestException as error:
            raise DownloadError(_why_not(url, error)) from error
        except ValueError as error:
            if sha256 is None:
                raise
            raise ChecksumError(
                f"{url} is not the archive that was expected: {error} If upstream has published a "
                "new version, `bmgd download --accept-changed` takes it; the old data is kept."
            ) from error
        finally:
            talk.setLevel(level)
            shutil.rmtree(incoming, ignore_errors=True)


def _why_not(url: str, error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is None:
        what = f"The download of {url} failed ({_root_cause(error)})"
    else:
        what = f"The server answered {response.status_code} {response.reason} for {url}"
        if response.status_code in _BUSY:
            what += "; it is refusing for now, as hosts do when many ask"
    return f"{what}, also after {RETRIES} retries. Try again later, {_BY_HAND}."


def _root_cause(error: BaseException) -> str:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return f"{type(error).__name__}: {error}"


class _Transfer:
    """What pooch takes for a progress bar; learns the length first, and checks there is room."""

    def __init__(self, bar: Bar, folder: Path) -> None:
        self._bar, self._folder, self._total, self._done = bar, folder, 0, 0

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, length: int) -> None:
        self._total, self._done = length, 0
        disk.require_space(self._folder, length, "for the download")
        self._bar.start_over(length)

    def update(self, count: int) -> None:
        step = min(count, self._total - self._done) if self._total else count
        self._done += step
        self._bar(step)

    def reset(self) -> None:
        """Called before a last update to the full length."""
        self._bar.start_over(self._total)
        self._done = 0

    def close(self) -> None:
        """The bar is its owner's to close."""


class _Downloader:
    """pooch's HTTP downloader, which also looks at what came before pooch names it."""

    def __init__(self, transfer: _Transfer) -> None:
        import pooch

        self._http = pooch.HTTPDownloader(
            progressbar=transfer,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        )

    def __call__(self, url: str, output_file: str, client: Any) -> None:
        from pathlib import Path

        import requests

        try:
            self._http(url, output_file, client)
        except requests.exceptions.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status in _GONE:
                raise DatasetNotFoundError(
                    f"There is no {url} (the server answered {status}). If "
                    "upstream has moved its files, look for a newer bmgd-data; or give the base "
                    f"address of a mirror as source=, {_BY_HAND}."
                ) from error
            raise
        archive.check_whole(Path(output_file), name=url)
