"""Every service describes its routes at /docs, from its own files only."""

import importlib
import re
from hashlib import sha256

import httpx
import pytest
from shell.http import docs_page
from shouwang.runtime.services import SERVICES

# The files of the npm package swagger-ui-dist 5.35.0. After an update, take the hashes of the new package.
SWAGGER_UI = {
    "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "NOTICE": "0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2",
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui-bundle.js.LICENSE.txt": "37eb6e7e59aed57b2c1acf076574b818ea07b74265717e0bd67b59e0baf9abbb",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}


def test_the_files_of_swagger_ui_are_unchanged() -> None:
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in docs_page.FOLDER.iterdir()}
    assert found.pop("start.js")
    assert found == SWAGGER_UI


@pytest.mark.parametrize("service", SERVICES)
async def test_a_page_of_routes_loads_only_files_of_its_service(service: str) -> None:
    app = importlib.import_module(f"{service}.main").app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{service}") as client:
        page = await client.get("/docs")
        assert page.headers["content-security-policy"] == docs_page.POLICY
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert set(loaded) == {"data:,", "docs/start.js", "docs/swagger-ui.css", "docs/swagger-ui-bundle.js"}
        for path in loaded:
            if path != "data:,":
                file = await client.get(f"/{path}")
                assert file.status_code == 200
                assert file.headers["content-type"].startswith(("text/javascript", "text/css"))
        assert (await client.get("/redoc")).status_code == 404


@pytest.mark.parametrize("service", SERVICES)
async def test_every_answer_has_security_headers(service: str) -> None:
    app = importlib.import_module(f"{service}.main").app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"https://{service}") as client:
        for path in ("/healthz", "/nowhere", "/docs"):
            headers = (await client.get(path)).headers
            assert headers["strict-transport-security"] == "max-age=31536000"
            assert headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in headers["content-security-policy"]
