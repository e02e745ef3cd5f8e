"""Staking and unstaking on the dashboard: unsigned in development mode, otherwise by a signature made elsewhere."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from seawall.audit.replay import replay_venue
from seawall.cli.text import amount
from seawall.engine.queries.insurance import insurance_stake
from seawall.engine.receipts import Clock
from seawall.engine.venue import Venue
from seawall.instructions.insurance import (
    AddInsuranceFundStake,
    DepositIntoInsuranceFund,
    InitializeInsuranceFundStake,
    RequestRemoveInsuranceFundStake,
)
from seawall.instructions.venue_setup import FundWallet, InitializeUser
from seawall.keys import base58
from seawall.lab.luna_week import ADMIN, USDC_UNIT
from seawall.service.client import Client
from seawall.service.keyfiles import write_key_file
from seawall.signing import new_secret, public_key
from tests.browser.conftest import Rulebook, Served, Tab, ok, serving, short_week

Open = Callable[..., Tab]
SECRET = new_secret()
OWNER = base58(public_key(SECRET))
OTHER = "@saver"


def funded(path: Path, rulebook: Rulebook) -> None:
    """The short week; @saver and a real key have an account and 1,000 USDC in their wallets."""
    short_week(path, rulebook)
    with Venue.open(path) as venue:
        for who in (OTHER, OWNER):
            ok(venue, InitializeUser(user=f"{who}/0"), who)
            ok(venue, FundWallet(authority=who, market_index=0, amount=1_000 * USDC_UNIT), ADMIN)


@pytest.fixture(params=["drift", "velocity"])
def development(request: pytest.FixtureRequest, tmp_path: Path, chromium: Browser) -> Iterator[Served]:
    """A venue of its own for the test, in development mode."""
    funded(tmp_path / "venue.seawall", request.param)
    with serving(tmp_path / "venue.seawall", "--dev") as served:
        yield served


@pytest.fixture
def live(tmp_path: Path, chromium: Browser) -> Iterator[Served]:
    """A venue of its own for the test, where every change must be signed."""
    funded(tmp_path / "venue.seawall", "velocity")
    with serving(tmp_path / "venue.seawall") as served:
        yield served


def fill(opened: Tab, action: str, tokens: str = "") -> None:
    """Choose an action and an amount in the form."""
    form = opened.page.locator("[data-panel=stake-form]")
    form.locator(".q-field", has_text="What").first.click()
    opened.page.get_by_role("option", name=action, exact=True).click()
    if tokens:
        form.get_by_label("Amount in tokens").fill(tokens)


def press(opened: Tab, button: str) -> str:
    """Press a button of the form; what the form then says."""
    form = opened.page.locator("[data-panel=stake-form]")
    answer = form.locator(".scroll").first
    before = answer.inner_html()
    form.get_by_role("button", name=button, exact=True).click()
    opened.page.wait_for_function(
        "before => document.querySelector('[data-panel=stake-form] .scroll').innerHTML !== before", arg=before
    )
    return " ".join(answer.inner_text().split())


def test_a_stake_from_its_opening_to_its_payout(development: Served, tab: Open) -> None:
    """Open, stake, ask to unstake; somebody gives to the fund: the page shows by itself what is forfeited."""
    opened = tab("phone")
    opened.open(development.page("insurance", authority=OTHER))
    fill(opened, "open a stake")
    assert "it would pass now" in press(opened, "Preview")
    assert "done: receipt #" in press(opened, "Submit unsigned")
    fill(opened, "stake", "600.5")
    assert "600.500000 USDC" in press(opened, "Preview")
    assert opened.rows("stakes")[0][1] == "0"
    assert "done: receipt #" in press(opened, "Submit unsigned")
    opened.page.wait_for_function("document.querySelector('[data-table=stakes] td:nth-child(2)').textContent !== '0'")
    fill(opened, "ask to unstake", "200")
    assert "done: receipt #" in press(opened, "Submit unsigned")
    request = opened.page.locator("[data-table=request]")
    request.wait_for()
    with Client(development.url, signer="@giver") as client:
        as_admin = Client(development.url, signer=ADMIN)
        assert as_admin.submit(FundWallet(authority="@giver", market_index=0, amount=90_000 * USDC_UNIT)).ok
        gift = DepositIntoInsuranceFund(authority="@giver", market_index=0, amount=90_000 * USDC_UNIT)
        given = client.submit(gift)
        assert given.ok, given.refusal
    # nobody touches the page
    opened.page.wait_for_function(
        f"document.querySelector('[data-figure=sequence]').textContent === '{given.sequence:,}'"
    )
    venue = Venue.open(development.path, read_only=True)
    stake = insurance_stake(venue.store, Clock.at(venue.tip.unix_timestamp), OTHER, 0)
    assert stake.request is not None and stake.request.forfeited_by_removal > 0
    opened.page.wait_for_function(
        "words => document.querySelector('[data-table=request]').textContent.includes(words)",
        arg=amount(stake.request.forfeited_by_removal, 6, 6),
    )
    words = " ".join(request.inner_text().split())
    assert f"payout {amount(stake.request.payout, 6, 6)} USDC" in words
    assert f"{stake.request.shares_lost_by_cancelling:,} shares" in words
    assert "cooldown: 12 d 23 h" in words or "cooldown: 13 d" in words
    fill(opened, "be paid out")
    refused = press(opened, "Submit unsigned")
    assert "TryingToRemoveLiquidityTooFast" in refused and "What would pass" in refused
    fill(opened, "take the request back")
    assert "done: receipt #" in press(opened, "Submit unsigned")
    request.wait_for(state="detached")


def test_the_cooldown_counts_down(development: Served, tab: Open) -> None:
    """The clock runs in the browser, between two answers of the service."""
    with Client(development.url, signer=OTHER) as client:
        assert client.submit(InitializeInsuranceFundStake(authority=OTHER, market_index=0)).ok
        assert client.submit(AddInsuranceFundStake(authority=OTHER, market_index=0, amount=10 * USDC_UNIT)).ok
        assert client.submit(RequestRemoveInsuranceFundStake(authority=OTHER, market_index=0, amount=USDC_UNIT)).ok
    opened = tab()
    opened.open(development.page("insurance", authority=OTHER))
    cooldown = opened.page.locator("[data-table=request] .countdown")
    left = int(cooldown.get_attribute("data-left") or 0)
    assert 13 * 86_400 - 120 < left <= 13 * 86_400
    # days and hours show no seconds: the same clock, 63 seconds before its end
    cooldown.evaluate("clock => { clock.dataset.left = '63' }")
    opened.page.wait_for_function(
        "document.querySelector('[data-table=request] .countdown').textContent === '1 min 1 s'"
    )
    opened.page.wait_for_function("document.querySelector('[data-table=request] .countdown').textContent === '58 s'")


def test_nonsense_in_the_form_is_named(live: Served, tab: Open) -> None:
    opened = tab()
    opened.open(live.page("insurance", authority=OTHER))
    fill(opened, "stake")
    field = opened.page.locator("[data-panel=stake-form]").get_by_label("Amount in tokens")
    positive, many = "an amount is a positive number of tokens", "this token has 6 decimals; 1.2345678 has 7"
    for given, words in (
        ("", positive), ("0", "an amount above zero"), ("-5", positive), ("1e6", positive), ("abc", positive),
        ("1.2345678", many), ("NaN", positive), ("٣", positive), ("9" * 25, "amount must be within"),
        ("0x10", positive), ("1.2.3", positive), ("<b>1</b>", positive), ("1" * 5_000, positive), (".", positive),
    ):  # fmt: skip
        field.fill(given)
        form = opened.page.locator("[data-panel=stake-form]")
        form.get_by_role("button", name="Preview", exact=True).click()
        form.locator(".refused", has_text=words).wait_for()


def test_the_authority_is_asked_for(development: Served, tab: Open) -> None:
    opened = tab()
    opened.open(development.page("insurance"))
    fill(opened, "stake", "5")
    assert "an authority is missing" in press(opened, "Submit unsigned").lower()
    opened.page.locator("[data-panel=stakes]").get_by_label("Authority").fill("0OIl")
    assert "is no base58 key" in press(opened, "Submit unsigned")


# --- signed ------------------------------------------------------------------------------------------------------


def message_of(opened: Tab) -> bytes:
    """The bytes that the page asks to sign."""
    return bytes.fromhex(opened.page.locator("[data-figure=message]").inner_text())


def paste(opened: Tab, signature: str) -> str:
    """Paste a signature and send it; what the form then says."""
    opened.page.locator("[data-panel=stake-form]").get_by_label("Signature").fill(signature)
    return press(opened, "Send")


def sign(message: bytes, secret: bytes = SECRET) -> bytes:
    """What a wallet does."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(secret).sign(message)


def test_a_pasted_signature_is_a_signed_request(live: Served, tab: Open) -> None:
    """In hexadecimal and in base58; the journal keeps it and the audit checks it. Nothing passes unsigned or twice."""
    opened = tab()
    opened.open(live.page("insurance", authority=OWNER))
    assert opened.page.locator(".banner.dev").count() == 0
    form = opened.page.locator("[data-panel=stake-form]")
    assert form.get_by_role("button", name="Submit unsigned").count() == 0
    fill(opened, "open a stake")
    assert "it would pass now" in press(opened, "Show what to sign")
    for wrong, words in (
        ("", "a signature has 64 bytes"), ("abc", "a signature has 64 bytes"), ("00" * 63, "a signature has 64 bytes"),
        ("💥", "a signature has 64 bytes"), ("{", "not what seawall keys sign prints"),
        ('{"nonce": 1}', "not what seawall keys sign prints"), ("[]", "a signature has 64 bytes"),
    ):  # fmt: skip
        form.get_by_label("Signature").fill(wrong)
        form.get_by_role("button", name="Send", exact=True).click()
        form.locator(".refused", has_text=words).wait_for()
    before = opened.text("[data-figure=sequence]")
    for forged in (sign(message_of(opened), new_secret()), sign(b"another message"), bytes(64)):
        form.get_by_label("Signature").fill(forged.hex())
        form.get_by_role("button", name="Send", exact=True).click()
        form.locator(".refused", has_text="SignatureInvalid").wait_for()
    assert opened.text("[data-figure=sequence]") == before
    words = paste(opened, sign(message_of(opened)).hex())
    assert "done: receipt #" in words
    fill(opened, "stake", "12.25")
    press(opened, "Show what to sign")
    assert "done: receipt #" in paste(opened, base58(sign(message_of(opened))))
    opened.page.wait_for_selector("[data-table=stakes] tbody tr")
    opened.page.locator("[data-panel=stake-form] .passed a").click()
    opened.page.wait_for_selector("[data-table=receipt]")
    assert opened.pairs("receipt")["signature"] == "Ed25519, checked just now"
    assert opened.pairs("receipt")["signer"] == OWNER


def test_what_seawall_keys_sign_prints_may_be_pasted(live: Served, tab: Open, tmp_path: Path) -> None:
    """The page shows the command; its output is the proof. The output for something else is refused."""
    key_file = tmp_path / "owner.key"
    write_key_file(key_file, SECRET)
    opened = tab()
    opened.open(live.page("insurance", authority=OWNER))
    fill(opened, "open a stake")
    press(opened, "Show what to sign")
    command = opened.page.locator("[data-figure=command]").inner_text().replace("KEYFILE", str(key_file))
    seawall = str(Path(sys.executable).with_name("seawall"))
    printed = subprocess.run(
        command.replace("seawall", seawall, 1), shell=True, capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    other = printed.replace('"market_index":"0"', '"market_index":"1"')
    assert other != printed
    assert "another instruction" in paste(opened, other)
    assert "done: receipt #" in paste(opened, printed)


def test_a_label_cannot_sign(live: Served, tab: Open) -> None:
    opened = tab()
    opened.open(live.page("insurance", authority=OTHER))
    fill(opened, "open a stake")
    assert "a label has no secret key" in press(opened, "Show what to sign")


def test_signatures_stand_in_the_journal(tmp_path: Path, chromium: Browser, tab: Open) -> None:
    """The audit executes what was signed on the page again, and checks the signature again."""
    path = tmp_path / "venue.seawall"
    funded(path, "drift")
    with serving(path) as served:
        opened = tab()
        opened.open(served.page("insurance", authority=OWNER))
        fill(opened, "open a stake")
        press(opened, "Show what to sign")
        assert "done: receipt #" in paste(opened, sign(message_of(opened)).hex())
        opened.page.close()
    replayed = replay_venue(path)
    assert (replayed.signed, replayed.findings) == (1, [])
