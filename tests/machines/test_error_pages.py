"""The balancer's own pages have the sizes that real access logs show."""

from __future__ import annotations

import pytest

from keepalign.machines.error_pages import TITLES, error_page, http_date, pads_for

DATE = http_date(1_700_000_000)


def test_502_page_is_the_one_seen_byte_for_byte() -> None:
    assert error_page(502, DATE, close=False, padded=False, head_only=False) == (
        b"HTTP/1.1 502 Bad Gateway\r\n"
        b"Server: awselb/2.0\r\n"
        b"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
        b"Content-Type: text/html\r\n"
        b"Content-Length: 122\r\n"
        b"Connection: keep-alive\r\n"
        b"\r\n"
        b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
        b"<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
    )


@pytest.mark.parametrize(
    ("status", "close", "padded", "head_only", "size"),
    [
        # Seen in uNetworking/uWebSockets.js issue 939.
        (502, False, False, False, 277),
        (502, True, False, False, 272),
        (502, False, True, False, 679),
        (502, True, True, False, 674),
        (502, False, False, True, 155),
        # Seen in access logs of 2021 to 2026 in public test data: a malformed request, and no target.
        (400, True, False, False, 272),
        (503, False, False, False, 337),
        # Follows from the rest.
        (504, False, False, False, 292),
    ],
)
def test_page_sizes_agree_with_real_logs(
    status: int, close: bool, padded: bool, head_only: bool, size: int
) -> None:
    assert len(error_page(status, DATE, close=close, padded=padded, head_only=head_only)) == size


@pytest.mark.parametrize("status", TITLES)
def test_every_page_tells_its_own_length(status: int) -> None:
    head, _, body = error_page(status, DATE, close=True, padded=True, head_only=False).partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head


@pytest.mark.parametrize(
    ("user_agent", "padded"),
    [
        (b"Mozilla/5.0 (X11) AppleWebKit/537.36 Chrome/126.0 Safari/537.36", True),
        (b"Mozilla/4.0 (compatible; MSIE 8.0)", True),
        (b"curl/8.5.0", False),
        (b"Mozilla/5.0 (X11; rv:109.0) Gecko/20100101 Firefox/115.0", False),
        (b"", False),
    ],
)
def test_only_browsers_of_nginx_s_list_get_padding(user_agent: bytes, padded: bool) -> None:
    assert pads_for(user_agent) is padded
