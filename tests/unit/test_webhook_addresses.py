"""Where a webhook may go: by every spelling of an address, and by what a name leads to."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from exporter.errors import AddressRefused, SettingInvalid
from exporter.settings import SETTINGS
from exporter.webhooks import addresses, post
from exporter.webhooks.addresses import HostRules, is_public
from tests.receiver import receiving

PUBLIC = HostRules(frozenset({"public"}))


def leading_to(monkeypatch, *numbers):
    """Let every name lead to these addresses, and count how often it is asked."""
    asked = []

    def resolve(host, port, **_):
        asked.append(host)
        return [(0, 0, 0, "", (number, port)) for number in numbers]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", resolve)
    return asked


def checked(words, url, *numbers):
    """Check an address while its name leads there; afterwards names lead where they really do."""
    with pytest.MonkeyPatch.context() as patch:
        asked = leading_to(patch, *numbers)
        place = HostRules(frozenset(words)).check(url)
        assert len(asked) == 1
    return place


@pytest.mark.parametrize(
    "number",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "168.63.129.16", "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
        "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)  # fmt: skip
def test_what_only_this_machine_or_network_can_reach_is_not_public(number):
    assert not is_public(ip_address(number))


@pytest.mark.parametrize(
    "number", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"]
)
def test_what_anybody_can_reach_is_public(number):
    assert is_public(ip_address(number))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/",
        "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://localhost/", "https://[fe80::1%25lo]/",
    ],
)  # fmt: skip
def test_a_loopback_is_refused_however_it_is_spelled(url):
    with pytest.raises(AddressRefused):
        PUBLIC.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "hooks", "//8.8.8.8/", "ftp://8.8.8.8/", "file:///etc/passwd", "https://", "https:///x", "https://8.8.8.8:0/",
        "https://8.8.8.8:99999/", "https://u@8.8.8.8/", "https://u:p@8.8.8.8/", "https://8.8.8.8/#part", "https://8.8.8.8/a b",
        "https://8.8.8.8/\r\nHost: x", "https://8.8.8.8/ä", "https://[::1", "https://8.8.8.8/" + "x" * 2000, "http://8.8.8.8/",
    ],
)  # fmt: skip
def test_what_is_no_plain_https_address_is_refused(url):
    with pytest.raises(AddressRefused):
        PUBLIC.check(url)


def test_a_name_is_judged_by_every_address_it_leads_to(monkeypatch):
    leading_to(monkeypatch, "8.8.8.8", "2606:4700:4700::1111")
    found = PUBLIC.check("https://hooks.example/x?y=1")
    assert [str(each) for each in found.addresses] == ["8.8.8.8", "2606:4700:4700::1111"]
    assert (found.target.host, found.target.port, found.target.path) == ("hooks.example", 443, "/x?y=1")
    leading_to(monkeypatch, "8.8.8.8", "10.0.0.1")
    with pytest.raises(AddressRefused):
        PUBLIC.check("https://hooks.example/")


@pytest.mark.parametrize(
    ("words", "url", "number", "allowed"),
    [
        ("hooks.internal", "http://hooks.internal/", "10.0.0.1", True),
        ("hooks.internal", "http://HOOKS.internal./", "10.0.0.1", True),
        ("hooks.internal", "http://other.internal/", "10.0.0.1", False),
        ("hooks.internal", "https://hooks.example/", "8.8.8.8", False),
        (".internal", "http://a.b.internal/", "10.0.0.1", True),
        (".internal", "http://internal/", "10.0.0.1", False),
        (".internal", "http://evilinternal/", "10.0.0.1", False),
        ("10.0.0.0/8", "http://hooks.internal/", "10.9.9.9", True),
        ("10.0.0.0/8", "http://hooks.internal/", "11.0.0.1", False),
        ("10.0.0.1", "http://10.0.0.1/", "10.0.0.1", True),
        ("10.0.0.1 public", "https://hooks.example/", "8.8.8.8", True),
        ("10.0.0.1 public", "http://hooks.example/", "8.8.8.8", False),
    ],
)
def test_an_admins_list_says_what_else_or_alone_is_reached(monkeypatch, words, url, number, allowed):
    leading_to(monkeypatch, number)
    rules = HostRules(frozenset(words.split()))
    if allowed:
        assert [str(each) for each in rules.check(url).addresses] == [number]
    else:
        with pytest.raises(AddressRefused):
            rules.check(url)


def test_a_name_is_asked_once_and_the_connection_goes_to_what_was_checked():
    """A name that leads elsewhere a moment later gains nothing: nobody asks it again."""
    with receiving() as receiver:
        port = receiver.server.server_port
        place = checked({"hooks.internal"}, f"http://hooks.internal:{port}/x", "127.0.0.1")
        assert post.post(place, b"{}", {"webhook-id": "1"}) == 204
        headers, _ = receiver.got[0]
        assert headers["Host"] == f"hooks.internal:{port}"


def certificate(folder, name):
    """Make a certificate that vouches for itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "certificate.pem"
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM) + plain)
    return path


@pytest.fixture
def secured(tmp_path, monkeypatch):
    """A receiver that speaks TLS as hooks.internal, which this process trusts."""
    path = certificate(tmp_path, "hooks.internal")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    post._context.cache_clear()
    with receiving() as receiver:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
        yield receiver
    post._context.cache_clear()


def test_tls_is_held_to_the_name_although_the_connection_goes_to_a_number(secured):
    port = secured.server.server_port
    right, wrong = (
        checked({".internal"}, f"https://{name}.internal:{port}/", "127.0.0.1") for name in ("hooks", "other")
    )
    assert post.post(right, b"{}", {}) == 204
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        post.post(wrong, b"{}", {})
    assert "not trusted" in post.reason(caught.value)
    assert len(secured.got) == 1


def test_the_second_address_is_tried_where_the_first_does_not_answer():
    with receiving() as receiver, socket.socket() as taken:
        port = receiver.server.server_port
        taken.bind(("127.0.0.2", port))  # and listens to nobody
        place = checked({"127.0.0.0/8"}, f"http://x.internal:{port}/", "127.0.0.2", "127.0.0.1")
        assert post.post(place, b"{}", {}) == 204


@pytest.mark.parametrize("text", ["public", "public,Hooks.Internal 10.0.0.0/8", ".example.org ::1"])
def test_the_setting_takes_names_numbers_and_networks(text):
    words = SETTINGS["WEBHOOK_HOSTS"][0]("WEBHOOK_HOSTS", text)
    assert words == frozenset(text.lower().replace(",", " ").split())


@pytest.mark.parametrize("text", ["", "http://hooks.internal", "10.0.0.0/40", "10.0.0.300", "a b/c", "*"])
def test_the_setting_refuses_what_is_none(text):
    with pytest.raises(SettingInvalid):
        SETTINGS["WEBHOOK_HOSTS"][0]("WEBHOOK_HOSTS", text)
