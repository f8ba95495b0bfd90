"""Sign out, and the notice of the issuer that a user has signed out elsewhere."""

from html import escape
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from shell.access.route_marks import limits_body, needs_no_credential

from console import forms, session
from console.issuer import LEEWAY_SECONDS, Issuer, IssuerAway, IssuerRefuses
from console.page import policy_with_form_to, render

NOTICE_BYTES_MAX: Final = 16_384
router = APIRouter(include_in_schema=False)


@router.post("/logout")
@needs_no_credential
async def sign_out(request: Request) -> Response:
    """End the session here, let the issuer end its tokens, and lead the user to the sign-out of the issuer."""
    found = session.stored(request)
    session.end(request, found)
    issuer: Issuer | None = request.app.state.issuer
    if issuer is None or found is None or found.subject is None:
        return RedirectResponse("/login", status_code=303)
    if found.tokens.refresh_token:
        await issuer.revoke(found.tokens.refresh_token)
    try:
        form = await issuer.sign_out_form(found.tokens.id_token)
    except IssuerAway:
        form = None
    return RedirectResponse("/login", status_code=303) if form is None else _sent_to_issuer(*form)


def _sent_to_issuer(url: str, fields: dict[str, str]) -> Response:
    """Return a page that sends the form to the issuer, which leads the user back to the sign-in page."""
    inputs = "\n".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )
    parts = urlsplit(url)
    policy = policy_with_form_to(f"{parts.scheme}://{parts.netloc}")
    page = render("logout.html", url=escape(url), inputs=inputs)
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


@router.post("/logout/backchannel")
@needs_no_credential
@limits_body(NOTICE_BYTES_MAX)
async def take_notice(request: Request) -> Response:
    """End the sessions that the logout token of the issuer names (OpenID Connect Back-Channel Logout 1.0)."""
    issuer: Issuer | None = request.app.state.issuer
    if issuer is None:
        return _answer(404, "invalid_request")
    try:
        notice = await issuer.read_notice((await forms.fields(request)).get("logout_token", ""))
    except IssuerRefuses:
        return _answer(400, "invalid_request")
    ended = session.ended_sessions(request)
    if notice.sid is not None:
        ended.add(f"sid:{notice.sid}")
    elif notice.subject is not None:
        ended.add(f"sub:{notice.subject}", before=notice.at + LEEWAY_SECONDS)
    return Response(status_code=200)


def _answer(status: int, error: str) -> Response:
    return JSONResponse({"error": error}, status)
