"""An HTTP client of one service, for commands. A service that does not answer is a LocalProblem."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

from shouwang.runtime.problems import LocalProblem

SECONDS_MAX = 60
TEXT_CHARACTERS_MAX = 500


class ServiceClient:
    """A client with one token; use it as a context manager.

    `seconds_max`: the limit of each wait, for a connection or for the next part of an answer. `advice` is added to the
    error about a service that cannot be reached.
    """

    def __init__(
        self, service: str, url: str, token: str, *, seconds_max: float = SECONDS_MAX, advice: str = ""
    ) -> None:
        self.service = service
        self.url = url
        self._advice = f"; {advice}" if advice else ""
        headers = {"authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=seconds_max, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request; returns the answer, also an error. Raises LocalProblem if the service does not answer."""
        try:
            return self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise LocalProblem(
                f"{self.service.capitalize()} at {self.url} does not answer ({type(error).__name__}): "
                f"run `shouwang up`{self._advice}."
            ) from None

    def json(self, method: str, path: str, *, missing_ok: bool = False, **arguments: Any) -> dict[str, Any]:
        """Send a request; returns the JSON of the answer. Raises LocalProblem with the reason in an error.

        `missing_ok`: the answer 404 gives an empty dict.
        """
        answer = self.request(method, path, **arguments)
        if missing_ok and answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        if answer.is_error:
            service = self.service.capitalize()
            raise LocalProblem(f"{service} rejected the request with {answer.status_code}: {reason_of(answer)}")
        body: dict[str, Any] = answer.json()
        return body


def reason_of(answer: httpx.Response) -> str:
    """Return the reason in an error answer: `code: detail`, then each problem of the input.

    An answer without these parts gives the first TEXT_CHARACTERS_MAX characters of its text, or `no text`.
    """
    text = answer.text[:TEXT_CHARACTERS_MAX] or "no text"
    try:
        document = answer.json()
        summary = ": ".join(str(document[name]) for name in ("code", "detail") if name in document)
        problems = [f"{p['pointer']} {p['code']}: {p['detail']}".strip() for p in document.get("problems", ())]
    except (ValueError, TypeError, KeyError, AttributeError):
        return text
    return "; ".join(part for part in (summary, *problems) if part) or text
