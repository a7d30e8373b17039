"""callgate and a program behind it as processes, and browsers to visit them with."""

import http.client
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import tempfile
import time
from http.cookies import SimpleCookie

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE_SECS = 30


def free_port():
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def quiet():
    """The environment without settings of callgate, and without proxies on the way to loopback."""
    noisy = ("CALLGATE_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(noisy)}


class Callgate:
    """A server that keeps its port, its table and its sessions when it is killed."""

    def __init__(self, table, folder):
        self.public, self.internal = free_port(), free_port()
        self.folder = pathlib.Path(folder)
        (self.folder / "handlers.json").write_text(table)
        self.process = None
        self.start()

    def start(self):
        words = [
            os.environ["CALLGATE"], "serve", "--rate-limits", "off",
            "--handlers", str(self.folder / "handlers.json"),
            "--store", f"embedded:{self.folder / 'data'}",
            "--listen", f"127.0.0.1:{self.public}", "--internal", f"127.0.0.1:{self.internal}",
        ]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                words, cwd=self.folder, env=quiet(), stdout=subprocess.PIPE, stderr=log
            )
        said, end = b"", time.monotonic() + PATIENCE_SECS
        while b"listening on" not in said:
            more = self._more(end)
            assert more, f"callgate ended: {(self.folder / 'log').read_text()}"
            said += more

    def _more(self, end):
        # Past the buffer of the file object, of which select knows nothing.
        output = self.process.stdout.fileno()
        ready, _, _ = select.select([output], [], [], max(0, end - time.monotonic()))
        assert ready, "callgate said nothing for a long time"
        return os.read(output, 4096)

    def kill(self):
        """As the power does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_SECS)
        self.process.stdout.close()

    def secrets_in_log(self, secrets):
        log = (self.folder / "log").read_text()
        return [secret for secret in secrets if secret in log]


class Program:
    """What stands behind a forward row."""

    def __init__(self, words, folder, port, internal):
        environment = {**quiet(), "PORT": str(port), "CALLGATE_API": f"http://127.0.0.1:{internal}"}
        self.process = subprocess.Popen(
            words, cwd=folder, env=environment, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + PATIENCE_SECS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, f"{words} ended"
                assert time.monotonic() < end, f"{words} does not listen"
                # There is nothing to wait for that tells when a port is open.
                time.sleep(0.05)

    def end(self):
        self.process.terminate()
        self.process.wait(PATIENCE_SECS)


class Browser:
    """Somebody with cookies, who is asked nothing and follows nothing."""

    def __init__(self, port):
        self.port, self.cookies = port, {}

    def get(self, target):
        """The status, the headers and the text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECS)
        headers = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        for value in answer.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(value).items():
                self.cookies[name] = morsel.value
        connection.close()
        return answer.status, answer.headers, text

    def json(self, target):
        status, _, text = self.get(target)
        assert status == 200, f"{target}: {status} {text}"
        return json.loads(text)


def folder():
    return tempfile.TemporaryDirectory(prefix="callgate-upstreams-")
