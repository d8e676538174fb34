"""Archives over the network; the only module that knows requests.

An archive takes its final name only after its magic bytes, its length and its digest were right.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from bmgd_data import __version__, facts
from bmgd_data._container import first_bytes
from bmgd_data._system import disk
from bmgd_data.errors import BMGDError, DatasetNotFoundError, DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable
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
    """Fetch one archive; a killed or failed download leaves `final` as it was.

    Args:
        url: Its address.
        final: Where to put it.
        check: Called with the sha256 of what came; what it raises refuses the archive.
        bar: Told how much has come.
        auth: User and password; they do not belong in `url`, which messages show.

    Returns:
        The sha256.

    Raises:
        DatasetNotFoundError: The server has no such file (404, 410).
        DownloadError: It cannot be reached, refuses, or breaks off, also after 3 retries.
        CorruptArchiveError: What came is no whole .7z: a page, a pointer, an empty or a cut file.
        StorageError: No room for it, or no permission to write.
    """
    import requests

    with disk.staged_file(final) as partial:
        for pause in range(1, RETRIES + 2):
            try:
                _fetch(url, partial, bar, auth)
                break
            # A ValueError is a header that cannot be read.
            except (requests.exceptions.RequestException, ValueError) as error:
                if pause > RETRIES:
                    raise DownloadError(_why_not(url, error)) from error
                time.sleep(pause)
            except OSError as error:
                if isinstance(error, BMGDError) or error.errno is not None:
                    raise
                # requests raises a bare one where REQUESTS_CA_BUNDLE names no file.
                raise DownloadError(
                    f"{url} cannot be fetched: {error}. Correct the environment variables "
                    "REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE, or unset them."
                ) from error
        first_bytes.check_whole(partial, name=url)
        key = disk.sha256(partial)
        check(key)
    return key


def _fetch(url: str, to: Path, bar: Bar, auth: tuple[str, str] | None) -> None:
    import requests

    with (
        requests.get(
            url,
            stream=True,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            auth=auth,
        ) as response,
        to.open("wb") as file,
    ):
        if response.status_code in _GONE:
            raise DatasetNotFoundError(
                f"There is no {url} (the server answered {response.status_code}). If upstream has "
                "moved its files, look for a newer bmgd-data; or give the base address of a "
                f"mirror as source=, {_BY_HAND}."
            )
        response.raise_for_status()
        length = int(response.headers.get("Content-Length", 0))
        disk.require_space(to.parent, length, "for the download")
        bar.start_over(length)
        for chunk in response.iter_content(_CHUNK_BYTES):
            file.write(chunk)
            bar(len(chunk))


def _why_not(url: str, error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None and not response.ok:
        what = f"The server answered {response.status_code} {response.reason} for {url}"
        if response.status_code in _BUSY:
            what += "; it is refusing for now, as hosts do when many ask"
    else:
        what = f"The download of {url} failed ({_root_cause(error)})"
    return f"{what}, also after {RETRIES} retries. Try again later, {_BY_HAND}."


def _root_cause(error: BaseException) -> str:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return f"{type(error).__name__}: {error}"
