"""Gives schemathesis a session for each stretch of its calls: a request that is kept waiting.

Named by SCHEMATHESIS_HOOKS; LENDER is the port of the program behind the forward row, which is
here, and PUBLIC the port of callgate.
"""

import http.client
import os
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import schemathesis

CAPABILITY = "X-Callgate-Capability"
LENT = queue.Queue()
# The door at which the request of the current capability waits for its answer.
DOORS = queue.Queue()


class Lender(BaseHTTPRequestHandler):
    """Lends the session of its request until somebody opens the door."""

    def do_GET(self):
        door = threading.Event()
        LENT.put(self.headers[CAPABILITY])
        DOORS.put(door)
        door.wait()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


threading.Thread(
    target=ThreadingHTTPServer(("127.0.0.1", int(os.environ["LENDER"])), Lender).serve_forever,
    daemon=True,
).start()


def visit():
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["PUBLIC"]))
    connection.request("GET", "/lend")
    connection.getresponse().read()


class Session:
    """The session that calls work in at present."""

    def __init__(self):
        self.guard, self.capability = threading.Lock(), None

    def current(self):
        with self.guard:
            if self.capability is None:
                threading.Thread(target=visit, daemon=True).start()
                self.capability = LENT.get(timeout=30)
            return self.capability

    def leave(self, capability):
        """Lets the request be answered; the next call gets a new one."""
        with self.guard:
            if capability is not None and self.capability == capability:
                DOORS.get(timeout=30).set()
                self.capability = None


SESSION = Session()


@schemathesis.auth(refresh_interval=None)
class Lent:
    def get(self, case, context):
        return SESSION.current()

    def set(self, case, data, context):
        case.headers[CAPABILITY] = data


@schemathesis.hook
def after_call(context, case, response):
    # An ended session, and one that is full of tokens or values, would only be refused further.
    shown = response.request.headers.get(CAPABILITY)
    if case.method == "DELETE" or response.status_code in (409, 410):
        SESSION.leave(shown)
