"""Plays the examples behind forward rows: away, kill -9, and back in another browser, once.

Run: CALLGATE=PROGRAM NODE_PATH=MODULES python tests/upstreams/round_trip.py
"""

import html
import re
import sys
import urllib.parse

from stage import ROOT, Browser, Callgate, Program, folder, free_port

EXAMPLES = {
    "upstream-python": (5000, [sys.executable, "app.py"]),
    "upstream-node": (3000, ["node", "app.js"]),
}


def target_of(url):
    parts = urllib.parse.urlsplit(url)
    return f"{parts.path}?{parts.query}"


def buy(gate):
    """Somebody buys; the link with which he is sent off."""
    shopper = Browser(gate.public)
    status, headers, page = shopper.get("/shop")
    assert status == 200, page
    assert "no-store" in headers["Cache-Control"], "a cookie was set"
    link = html.unescape(re.search(r'href="([^"]+)"', page)[1])
    assert link.startswith(f"http://127.0.0.1:{gate.public}/paid?%244DSID="), link
    return shopper, target_of(link)


def payment(gate, interrupt):
    """Away, and back in a browser that has never been here."""
    shopper, link = buy(gate)
    assert shopper.json("/order") == {"item": "book", "paid": False}
    interrupt()
    other = Browser(gate.public)
    status, _, text = other.get(link)
    assert (status, text) == (200, "Thank you for paying the book."), text
    for browser in (other, shopper):
        assert browser.json("/order") == {"item": "book", "paid": True}
    status, _, text = Browser(gate.public).get(link)
    assert (status, text) == (403, "This link is not valid any more."), text
    assert Browser(gate.public).json("/order") == {}
    return link


def sign_in(gate, interrupt):
    """Away with a token as state, which the program redeems by itself."""
    shopper, _ = buy(gate)
    status, headers, _ = shopper.get("/sign-in")
    assert status == 302, status
    state = urllib.parse.parse_qs(urllib.parse.urlsplit(headers["Location"]).query)["state"][0]
    interrupt()
    other = Browser(gate.public)
    status, _, text = other.get(f"/signed-in?state={state}")
    assert (status, text) == (200, "Welcome back, ada."), text
    assert other.json("/order") == {"item": "book", "paid": False}
    # Who signed in has put out the browser that only knew the guest.
    assert shopper.json("/order") == {}
    status, _, _ = Browser(gate.public).get(f"/signed-in?state={state}")
    assert status == 403, status
    return state


def play(name):
    port_written, words = EXAMPLES[name]
    port = free_port()
    table = (ROOT / "examples" / name / "handlers.json").read_text()
    assert table.count(f":{port_written}") == 5
    with folder() as place:
        gate = Callgate(table.replace(f":{port_written}", f":{port}"), place)
        program = Program(words, ROOT / "examples" / name, port, gate.internal)

        def crash():
            gate.kill()
            gate.start()

        try:
            spent = [
                trip(gate, interrupt)
                for trip in (payment, sign_in)
                for interrupt in (lambda: None, crash)
            ]
            secrets = [re.search("[0-9A-F]{32}", text)[0] for text in spent]
            assert gate.secrets_in_log(secrets) == []
        finally:
            program.end()
            gate.kill()
    print(f"{name}: {len(spent)} round trips, two of them over a kill -9")


if __name__ == "__main__":
    for example in sys.argv[1:] or EXAMPLES:
        play(example)
