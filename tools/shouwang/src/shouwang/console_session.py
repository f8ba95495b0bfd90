"""A session at the console for tests: an HTTP client signs in as the browser of a user does."""

import re

import httpx


def form_in(page: str) -> str:
    """Return the form token of a page of the console. Raises ValueError if it has no form."""
    found = re.search(r'name="form" value="([^"]+)"', page)
    if found is None:
        raise ValueError("the page has no form")
    return found[1]


async def sign_in(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """Send the sign-in page with a local token. `client`: its base URL is the console's. Returns the answer, which is
    303 with a session for a valid token."""
    form = form_in((await client.get("/login")).text)
    origin = str(client.base_url).rstrip("/")
    return await client.post("/login", data={"token": token, "form": form}, headers={"origin": origin})
