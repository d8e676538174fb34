"""Downloads of archives; the only module that uses pooch.

An archive gets its final name only after its first bytes, its length and its digest were checked.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from typing import TYPE_CHECKING, Any, Final

from bmgd_data import __version__, facts
from bmgd_data._container import first_bytes
from bmgd_data._system import disk
from bmgd_data.errors import BMGDError, DatasetNotFoundError, DownloadError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bmgd_data._system.progress import Bar

RETRIES: Final = 3
CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 30.0
USER_AGENT: Final = f"bmgd-data/{__version__} (+{facts.PAPER_URL})"

_CHUNK_BYTES: Final = 2**16
_BUSY: Final = {403, 429}
_GONE: Final = {404, 410}
_BY_HAND: Final = (
    f"or download the archives by hand from {facts.REPOSITORY} and give their folder as source= "
    "(or BMGD_SOURCE)"
)


def download(
    url: str,
    final: Path,
    check: Callable[[str], object],
    bar: Bar,
    auth: tuple[str, str] | None = None,
) -> str:
    """Fetch one archive to `final`, and return its sha256.

    A killed or failed download leaves `final` as it was. `check` is called with the sha256; what it
    raises refuses the archive. `auth` is user and password, which do not belong in `url`, since
    messages show it.

    Raises:
        DatasetNotFoundError: The server has no such file (404, 410).
        DownloadError: The server cannot be reached, refuses, or breaks off, also after 3 retries.
        CorruptArchiveError: The download is no whole .7z: a page, a pointer, empty or cut off.
        StorageError: No room for it, or no permission to write.
    """
    import pooch
    import requests

    with disk.scratch(final) as folder, _quiet_in_this_thread(pooch.get_logger()):
        partial = folder / final.name
        client = pooch.create(
            path=folder,
            base_url="",
            registry={partial.name: None},
            urls={partial.name: url},
            retry_if_failed=RETRIES,
        )
        try:
            client.fetch(partial.name, downloader=_Downloader(bar, folder, auth))
        # A ValueError is a header that requests cannot read.
        except (requests.exceptions.RequestException, ValueError) as error:
            raise DownloadError(_why_not(url, error)) from None
        except OSError as error:
            if isinstance(error, BMGDError) or error.errno is not None:
                raise
            if isinstance(error, PermissionError):  # pooch's own, for a folder without permissions
                raise PermissionError(errno.EACCES, "Permission denied", str(folder)) from error
            # requests raises a bare one where REQUESTS_CA_BUNDLE names no file.
            raise DownloadError(
                f"{url} cannot be fetched: {error}. Correct the environment variables "
                "REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE, or unset them."
            ) from error
        first_bytes.check_whole(partial, name=url)
        key = disk.sha256(partial)
        check(key)
        # pooch leaves the mode of a temporary file, 0600; the folder has the mode of the umask.
        partial.chmod(folder.stat().st_mode & 0o666)
        disk.fsync(partial)
        partial.replace(final)
        disk.fsync(final.parent)
    return key


@contextlib.contextmanager
def _quiet_in_this_thread(logger: logging.Logger) -> Iterator[None]:
    """Hide pooch's messages, since the bar shows progress; other threads still see theirs."""
    here = threading.get_ident()

    def from_elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    logger.addFilter(from_elsewhere)
    try:
        yield
    finally:
        logger.removeFilter(from_elsewhere)


class _Downloader:
    """A downloader for pooch that closes failed connections and checks the free space.

    It is also the progress bar that pooch updates.
    """

    def __init__(self, bar: Bar, folder: Path, auth: tuple[str, str] | None) -> None:
        self._bar, self._folder, self._auth = bar, folder, auth
        self._total = self._done = 0

    def __call__(self, url: str, output_file: str, client: Any) -> None:
        import pooch
        import requests

        with contextlib.ExitStack() as connections:

            def close_later(response: requests.Response, **_: object) -> None:
                connections.callback(response.close)  # pooch closes it only after a success
                # Twice with one value counts as once (RFC 9110, 8.6), but not for pooch.
                lengths = set(
                    response.headers.get("Content-Length", "").replace(" ", "").split(",")
                )
                if len(lengths) == 1 and (length := lengths.pop()):
                    response.headers["Content-Length"] = length

            fetch = pooch.HTTPDownloader(
                progressbar=self,
                chunk_size=_CHUNK_BYTES,
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
                timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                auth=self._auth,
                hooks={"response": close_later},
            )
            try:
                fetch(url, output_file, client)
            except requests.exceptions.HTTPError as error:
                if error.response is None or error.response.status_code not in _GONE:
                    raise
                raise DatasetNotFoundError(
                    f"There is no {url} (the server answered {error.response.status_code}). If "
                    "upstream has moved its files, look for a newer bmgd-data; or give the base "
                    f"address of a mirror as source=, {_BY_HAND}."
                ) from None

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, length: int) -> None:
        """Called by pooch first; 0 if the server does not say."""
        disk.require_space(self._folder.parent, length, "for the download")
        self._total = length
        self.reset()

    def reset(self) -> None:
        """Called by pooch before a last update to the full length."""
        self._bar.start_over(self._total)
        self._done = 0

    def update(self, count: int) -> None:
        """Called with the size of a whole chunk, also for the last one."""
        step = min(count, self._total - self._done) if self._total else count
        self._done += step
        self._bar(step)

    def close(self) -> None:
        """The caller of `download` closes the bar."""


def _why_not(url: str, error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None and not response.ok:
        what = f"The server answered {response.status_code} {response.reason} for {url}"
        if response.status_code in _BUSY:
            what += "; it is refusing for now, as hosts do when many ask"
    else:
        cause: BaseException = error
        while cause.__cause__ or cause.__context__:
            cause = cause.__cause__ or cause.__context__ or cause
        what = f"The download of {url} failed ({type(cause).__name__}: {cause})"
    return f"{what}, also after {RETRIES} retries. Try again later, {_BY_HAND}."
