"""A real HTTP server that gives the answers of a test and records the requests."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = Callable[["Scripted"], None]


class Scripted(BaseHTTPRequestHandler):
    """Gives its answers one after the other, and then the last one again and again."""

    answers: ClassVar[list[Answer]]
    asked: ClassVar[list[tuple[str, dict[str, str]]]]
    """(path, headers) of every request."""

    def do_GET(self) -> None:
        self.asked.append((self.path, dict(self.headers)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        with contextlib.suppress(OSError):  # the client has gone
            answer(self)

    def log_message(self, *args: object) -> None:
        pass


def send(data: bytes, status: int = 200, length: int | None = None, **headers: str) -> Answer:
    """All of `data`, whatever length is declared."""

    def answer(to: Scripted) -> None:
        to.send_response(status)
        to.send_header("Content-Length", str(len(data) if length is None else length))
        for name, value in headers.items():
            to.send_header(name, value)
        to.end_headers()
        to.wfile.write(data)

    return answer


def refuse(status: int) -> Answer:
    return send(b"no", status)


def cut(data: bytes, at: int, *, reset: bool = False) -> Answer:
    """The first `at` bytes, and then the connection ends: closed, or reset."""

    def answer(to: Scripted) -> None:
        if at:
            send(data[:at], length=len(data))(to)
        if reset:  # a linger time of 0 makes TCP reset the connection
            to.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        to.connection.close()

    return answer


def in_chunks(data: bytes, size: int, *, last: bool = True) -> Answer:
    """Transfer-Encoding: chunked, without a declared length."""

    def answer(to: Scripted) -> None:
        to.protocol_version = "HTTP/1.1"
        to.send_response(200)
        to.send_header("Transfer-Encoding", "chunked")
        to.send_header("Connection", "close")
        to.end_headers()
        for start in range(0, len(data), size):
            chunk = data[start : start + size]
            to.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if last:
            to.wfile.write(b"0\r\n\r\n")

    return answer


def redirect() -> Answer:
    """To the same address, endlessly."""

    def answer(to: Scripted) -> None:
        send(b"", 302, Location=to.path)(to)

    return answer


def stall(data: bytes, seconds: float) -> Answer:
    """Half of `data`, and then nothing for a while."""

    def answer(to: Scripted) -> None:
        send(data[: len(data) // 2], length=len(data))(to)
        threading.Event().wait(seconds)

    return answer


def wait_halfway(data: bytes, halfway: threading.Event, go_on: threading.Event) -> Answer:
    """Half of `data`, a signal to the test, and the rest at the test's signal."""

    def answer(to: Scripted) -> None:
        send(data[: len(data) // 2], length=len(data))(to)
        halfway.set()
        go_on.wait(30)
        to.wfile.write(data[len(data) // 2 :])

    return answer


@contextlib.contextmanager
def servers() -> Iterator[Callable[..., tuple[str, type[Scripted]]]]:
    """Start servers with these answers; gives the base URL and the requests of each."""
    started: list[ThreadingHTTPServer] = []

    def start(*answers: Answer) -> tuple[str, type[Scripted]]:
        handler = type("Handler", (Scripted,), {"answers": list(answers), "asked": []})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        started.append(server)
        return f"http://127.0.0.1:{server.server_port}/", handler

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture(name="answer")
def answering() -> Iterator[Callable[..., tuple[str, type[Scripted]]]]:
    """Start a server with these answers; gives its base URL and the requests."""
    with servers() as start:
        yield start
