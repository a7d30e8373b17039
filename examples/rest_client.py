#!/usr/bin/env python3
"""Calls functions of a callgate as the 4D documentation says, with the standard library only.

    python3 rest_client.py http://127.0.0.1:8044

It signs in with $catalog/authentify, keeps the cookie, and calls a function by POST and by GET.
"""

import json
import sys
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPCookieProcessor, Request, build_opener


class Rest:
    """One REST session: every call sends the cookie that an earlier one was given."""

    def __init__(self, origin):
        self.origin = origin.rstrip("/")
        self.opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def call(self, path, *parameters):
        """Calls a function with a JSON array as the body."""
        body = json.dumps(parameters).encode()
        headers = {"Content-Type": "application/json"}
        return self._send(Request(f"{self.origin}/rest/{path}", body, headers))

    def get(self, path, *parameters):
        """Calls a function that is declared for GET: the array stands in single quotes."""
        query = quote(f"'{json.dumps(list(parameters))}'")
        return self._send(Request(f"{self.origin}/rest/{path}?$params={query}"))

    def info(self):
        return self._send(Request(f"{self.origin}/rest/$info"))

    def _send(self, request):
        try:
            with self.opener.open(request, timeout=10) as answer:
                return json.load(answer)
        except HTTPError as refused:
            errors = json.load(refused)["__ERROR"]
            return {"status": refused.code, "errors": [error["errCode"] for error in errors]}


def main(origin):
    rest = Rest(origin)
    print("before", rest.call("$singleton/Cities/byCountry", "PR", 2))
    print("wrong", rest.call("$catalog/authentify", {"name": "Henry", "password": "1"}))
    print("right", rest.call("$catalog/authentify", {"name": "Henry", "password": "123"}))
    print("post", rest.call("$singleton/Cities/byCountry", "PR", 2))
    print("get", rest.get("$singleton/Cities/byCountry", "PR", 1))
    print("hidden", rest.call("$singleton/Cities/all"))
    print("user", rest.info()["sessionInfo"][0]["userName"])


if __name__ == "__main__":
    main(sys.argv[1])
