"""HTTP as the standard library speaks it: one connection that is kept, and made anew when the other side let go of it."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from consentry.transport import HttpTransport


class Recorder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, body, self.headers["X-Test"], self.client_address[1]))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        if self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
        self.end_headers()
        self.wfile.write(b"ok")
        if self.server.lets_go:
            self.close_connection = True  # without a word of it in the answer, as after an idle time

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    made = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    made.daemon_threads = True
    made.seen, made.status, made.retry_after, made.lets_go = [], 200, None, False
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def http(server):
    made = HttpTransport(f"http://127.0.0.1:{server.server_port}/in/", timeout=5)
    yield made
    made.close()


def test_the_connection_is_kept_and_the_path_of_the_host_too(server, http):
    for n in range(3):
        answer = http.send("/v1/batch", b"%d" % n, {"X-Test": "yes"})
        assert (answer.status, answer.body, answer.retry_after) == (200, b"ok", None)
    assert [seen[:3] for seen in server.seen] == [("/in/v1/batch", b"%d" % n, "yes") for n in range(3)]
    assert len({port for *_, port in server.seen}) == 1


def test_a_connection_that_is_gone_is_made_anew_without_a_failure(server, http):
    server.lets_go = True
    for n in range(3):
        assert http.send("/v1/batch", b"%d" % n, {}).status == 200
    assert [body for _, body, *_ in server.seen] == [b"0", b"1", b"2"]


def test_one_request_of_its_own_keeps_nothing(server, http):
    http.send("/v1/batch", b"a", {})
    http.send("/v1/consent", b"b", {}, keep=False)
    http.send("/v1/batch", b"c", {})
    ports = [port for *_, port in server.seen]
    assert ports[0] == ports[2] != ports[1]


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), ("0", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-5", None), ("\u00b2", None)]
)
def test_retry_after_is_read_in_seconds(server, http, text, seconds):
    server.status, server.retry_after = 503, text
    answer = http.send("/v1/batch", b"", {})
    assert (answer.status, answer.retry_after) == (503, seconds)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"220 smtp.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
    ],
)
def test_nobody_there_and_nonsense_are_os_errors(nonsense):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match=r"\w"):
            HttpTransport(f"http://127.0.0.1:{free.getsockname()[1]}").send("/", b"", {})
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def babble():
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(nonsense)

        thread = threading.Thread(target=babble)
        thread.start()
        with pytest.raises(OSError, match=r"\w"):
            HttpTransport(f"http://127.0.0.1:{listening.getsockname()[1]}").send("/", b"", {})
        thread.join()
