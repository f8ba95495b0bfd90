"""The story of a move notices an entitlement that goes on in the old county."""

from __future__ import annotations

import pytest
from shouwang.stories.longevity import end_in

OLD, NEW = "530302", "530381"


@pytest.mark.parametrize(
    ("ends", "end"),
    [(["2026-10-20"], "2026-10-20"), (["2025-01-01", "2026-10-20"], "2026-10-20"), (["2026-10-20", None], None)],
)
def test_an_open_entitlement_is_the_last_one(ends: list[str | None], end: str | None) -> None:
    held = [{"jurisdiction": OLD, "to": to} for to in ends] + [{"jurisdiction": NEW, "to": "2027-01-01"}]
    assert end_in(held, OLD) == end
