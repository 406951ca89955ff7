"""What a proof came to."""

from __future__ import annotations

import pytest

from keepalign.model.proof import Count, rough
from keepalign.units import Duration


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (2_002_656, "2.0 s"),
        (9_000_000, "9 s"),
        (1_000_000, "1 s"),
        (999_999, "1000.0 ms"),
        (499_512, "499.5 ms"),
        (104_167, "104.2 ms"),
        (150_000, "150 ms"),
        (122, "0.1 ms"),
        (0, "0 ms"),
    ],
)
def test_rough_length_reads_at_a_glance(us: int, text: str) -> None:
    assert rough(Duration(us)) == text


def test_bound_is_the_rule_of_three_where_nothing_failed() -> None:
    assert Count(60, 0).bound == pytest.approx(0.05)
    assert Count(60, 1).bound is None
    assert Count(0, 0).bound is None
