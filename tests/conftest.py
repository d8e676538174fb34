"""What all tests share: no test touches the user's own cache, and none needs the internet."""

from __future__ import annotations

import functools
import http.server
import io
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STANDIN = Path(
    os.environ.get("STANDIN") or Path(__file__).resolve().parents[2] / "shared" / "standin"
)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("BMGD_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("BMGD_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root that tests share for reading `TINY`; it is built by the first that asks."""
    return tmp_path_factory.mktemp("tiny-root")


@pytest.fixture(scope="session")
def standin() -> Path:
    """Real nuclei images in upstream's layout; they are not BMGD."""
    if not STANDIN.is_dir():
        pytest.skip("the stand-in data is not on this machine; see tests/README.md")
    return STANDIN


@pytest.fixture(scope="session")
def tiff() -> Callable[..., bytes]:
    """An array as the bytes of a TIFF file; options go to tifffile.imwrite."""

    def encode(array: np.ndarray, **options: object) -> bytes:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, array, **{"photometric": "minisblack", **options})
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def write_7z() -> Callable[..., Path]:
    """Write a real .7z from {member: bytes}; options go to py7zr.SevenZipFile."""

    def write(path: Path, members: dict[str, bytes], **options: object) -> Path:
        import py7zr

        path.parent.mkdir(parents=True, exist_ok=True)
        with py7zr.SevenZipFile(path, "w", **options) as archive:
            for name, data in members.items():
                archive.writestr(data, name)
        return path

    return write


@pytest.fixture
def nuclei(tiff: Callable[..., bytes]) -> Callable[..., dict[str, bytes]]:
    """Members of a small archive in upstream's layout: `count` pairs, 12-bit images, 0/255 masks."""

    def make(
        condition: str = "950 Pa", count: int = 10, side: int = 32, bits: int = 12
    ) -> dict[str, bytes]:
        rng = np.random.default_rng(
            int(condition.split(maxsplit=1)[0])
        )  # no image is in two conditions
        images, masks = {}, {}
        for number in range(count):
            mask = np.zeros((side, side), np.uint8)
            for _ in range(3):
                y, x = rng.integers(2, side - 8, 2)
                mask[y : y + 5, x : x + 5] = 255
            image = rng.integers(400, 600, (side, side)) + (mask > 0) * rng.integers(500, 3000)
            grey = image.astype(np.uint16) if bits == 12 else (image // 16).astype(np.uint8)
            images[f"{condition}/image/{number:03d}.tif"] = tiff(grey)
            masks[f"{condition}/mask/{number:03d}.tif"] = tiff(mask)
        return images | masks

    return make


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serve a folder over real HTTP on this machine; gives the base URL."""
    servers: list[http.server.ThreadingHTTPServer] = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    def start(folder: Path, handler: type[http.server.BaseHTTPRequestHandler] = Quiet) -> str:
        wanted = functools.partial(handler, directory=folder) if handler is Quiet else handler
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), wanted)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
