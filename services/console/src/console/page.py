"""Render pages from the templates of this package, under a policy that blocks all foreign content."""

from functools import cache
from importlib.resources import files
from string import Template
from typing import Final

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'{more}; base-uri 'none'; frame-ancestors 'none'"
)
POLICY: Final = _POLICY.format(more="")


def policy_with_form_to(origin: str) -> str:
    """The policy of a page whose form goes to another server."""
    return _POLICY.format(more=f" {origin}")


@cache
def _template(name: str) -> Template:
    return Template(files("console").joinpath("templates", name).read_text(encoding="utf-8"))


def render(name: str, **values: str) -> str:
    """Return the page of a template with `values`. They are HTML: the caller escapes values from outside."""
    return _template(name).substitute(values)
