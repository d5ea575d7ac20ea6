"""Makes a container in an Azure blob store, which obstore cannot: one signed request."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
import urllib.request


def create(endpoint: str, account: str, key: str, container: str) -> None:
    """Create it; the request is signed with the account's key."""
    path, date = f"/{account}/{container}", email.utils.formatdate(usegmt=True)
    named = f"x-ms-date:{date}\nx-ms-version:2021-08-06\n/{account}{path}\nrestype:container"
    text = "PUT\n" + "\n" * 11 + named
    signature = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
    headers = {
        "x-ms-date": date,
        "x-ms-version": "2021-08-06",
        "Authorization": f"SharedKey {account}:{signature}",
        "Content-Length": "0",
    }
    request = urllib.request.Request(f"{endpoint}{path}?restype=container", method="PUT", headers=headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201
