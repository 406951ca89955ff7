"""What nobody wrote has the product's documented default."""

from __future__ import annotations

import pytest

from keepalign.join.settings import effective
from keepalign.model.path import Product
from keepalign.model.setting import Default, Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, SourceText
from keepalign.readers._reader import Absent, Read
from keepalign.units import Duration

SITE = Site(SourceText("httpd.conf", b"Listen 80\n").span(10, 10), "KeepAliveTimeout {value}\n")
HERE = Origin(OriginKind.FILE)


def test_absent_option_has_its_default_with_source_and_the_place_to_write_it() -> None:
    setting = effective(Absent("KeepAliveTimeout", SITE), Product.APACHE_HTTPD)
    assert isinstance(setting, Default)
    assert (setting.option, setting.value, setting.site) == ("KeepAliveTimeout", Duration.of(s=5), SITE)
    assert setting.origin.kind is OriginKind.DEFAULT
    assert setting.origin.note == "Apache httpd 2.4 default"
    assert setting.origin.source.startswith("https://httpd.apache.org/")


def test_absent_option_can_take_the_default_of_another() -> None:
    setting = effective(Absent("Timeout"), Product.APACHE_HTTPD, default_option="ProxyPass ttl=")
    assert isinstance(setting, Unlimited)


@pytest.mark.parametrize(
    "read",
    [
        Explicit(option="KeepAliveTimeout", origin=HERE, value=Duration.of(s=0)),
        Disabled(option="KeepAliveTimeout", origin=HERE),
        Unlimited(option="KeepAliveTimeout", origin=HERE),
        Unknown(option="KeepAliveTimeout", origin=HERE, reason="a variable"),
    ],
)
def test_what_somebody_wrote_holds(read: Read) -> None:
    assert effective(read, Product.APACHE_HTTPD) is read


def test_option_without_a_documented_default_is_unknown() -> None:
    setting = effective(Absent("ProxyTimeout"), Product.APACHE_HTTPD)
    assert isinstance(setting, Unknown)
    assert "documents no default" in setting.reason


def test_option_without_a_row_is_a_fault_of_ours() -> None:
    with pytest.raises(KeyError, match="no option 'NoSuchOption'"):
        effective(Absent("NoSuchOption"), Product.APACHE_HTTPD)
