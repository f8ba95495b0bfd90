"""The page `/docs` of every service: Swagger UI from this package. It loads nothing from elsewhere.

The folder `swagger_ui` holds the files of the npm package `swagger-ui-dist` 5.35.0, unchanged, and `start.js`.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

FOLDER: Final = Path(__file__).parent / "swagger_ui"
# Images in the style sheet are data URLs. The page itself calls the routes of its own service.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FILES: Final[Mapping[str, str]] = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "start.js": "text/javascript",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title}</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="docs/swagger-ui.css">
  <script src="docs/swagger-ui-bundle.js" defer></script>
  <script src="docs/start.js" defer></script>
</head>
<body><div id="swagger-ui"></div></body>
</html>
"""


def add_docs(app: FastAPI) -> None:
    """Add `/docs` and its files. Create `app` with `docs_url=None` and `redoc_url=None`: FastAPI's own pages load their
    scripts from a foreign server."""
    page = _PAGE.format(title=escape(app.title))

    async def show_docs(request: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})

    async def show_file(request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        return FileResponse(FOLDER / name, media_type=FILES[name], headers={"Cache-Control": "max-age=3600"})

    app.add_route("/docs", show_docs, include_in_schema=False)
    for name in FILES:
        app.add_route(f"/docs/{name}", show_file, include_in_schema=False)
