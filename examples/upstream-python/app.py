"""A shop in Python behind callgate.

It sends users to other sites and finds their session again when they return.

Run: see README.md
"""

import os

import requests
from flask import Flask, redirect, request
from markupsafe import escape

API = os.environ.get("CALLGATE_API", "http://127.0.0.1:8045")
app = Flask(__name__)


def callgate(method, path, body=None):
    """Calls the session API for the session of the current request."""
    capability = {"X-Callgate-Capability": request.headers["X-Callgate-Capability"]}
    response = requests.request(method, API + path, json=body, headers=capability, timeout=5)
    response.raise_for_status()
    return response.json() if response.content else None


@app.get("/shop")
def shop():
    """Puts a book into the cart and shows the callback URL for a payment page."""
    callgate("PATCH", "/session/storage", {"order": {"item": "book", "paid": False}})
    link = callgate("POST", "/session/otp", {"path": "/paid", "lifespan": 3600})["url"]
    return f'<p>One book, not paid.</p><a href="{escape(link)}">Pay</a>'


@app.get("/paid")
def paid():
    """The callback. callgate has redeemed the token, once, and this is the session of the shop."""
    if request.headers["X-Callgate-Otp"] != "restored":
        return "This link is not valid any more.", 403
    order = callgate("GET", "/session/storage")["order"]
    callgate("PATCH", "/session/storage", {"order": {**order, "paid": True}})
    return f"Thank you for paying the {escape(order['item'])}."


@app.get("/order")
def order():
    """Shows the order, in any browser with access to the session."""
    return callgate("GET", "/session/storage").get("order") or {}


@app.get("/sign-in")
def sign_in():
    """Redirects the browser to an identity provider, with a token as its state."""
    state = callgate("POST", "/session/otp", {"lifespan": 600})["token"]
    return redirect(f"https://id.example/authorize?client_id=shop&state={state}")


@app.get("/signed-in")
def signed_in():
    """The identity provider redirects back with that state. A real shop then asks for the user."""
    token = request.args.get("state", "")
    if not callgate("POST", "/session/restore", {"token": token})["restored"]:
        return "Please sign in again.", 403
    session = callgate("PUT", "/session/privileges", {"userName": "ada"})
    return f"Welcome back, {escape(session['userName'])}."


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "5000")))
