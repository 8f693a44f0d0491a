"""Keys at rest and in memory: nothing readable on disk, nothing lost, nothing shown."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.backends.null
import pytest

from engine import logs
from engine.errors import AuthenticationError, SecurityError, ValidationError
from engine.keys.capsule import Capsule, Content
from engine.keys.entry import KeyEntry, key_name
from engine.keys.passphrase import from_credential, from_descriptor
from engine.keys.ring import KeyRing, RingState
from engine.keys.sealed import SealedFile, sealed_path
from engine.keys.store import LockedError, choose_store
from engine.keys.system import SystemKeyring, keyring_problem
from engine.model.ids import AccountId, VenueId

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSPHRASE = "correct horse battery"
KEY, SECRET = (
    "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91",
    "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65",
)
BINANCE, MAIN = VenueId("BINANCE"), AccountId("main")


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A keyring service that can go away."""

    priority = 5.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held: dict[tuple[str, str], str] = {}
        self.gone = False

    def _check(self) -> None:
        if self.gone:
            raise RuntimeError("org.freedesktop.DBus.Error.NoServer: no bus")

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        if self.held.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError("no such password")


@pytest.fixture
def service() -> Iterator[MemoryKeyring]:
    """The system's keyring, in memory."""
    before = keyring.get_keyring()
    held = MemoryKeyring()
    keyring.set_keyring(held)
    yield held
    keyring.set_keyring(before)


@pytest.fixture(autouse=True)
def _no_secrets_stay() -> Iterator[None]:
    before = list(logs._secrets)
    yield
    logs._secrets[:] = before


def sealed(home: Path) -> SealedFile:
    return SealedFile(sealed_path(home))


def ring(home: Path, capsule: Capsule | None = None) -> KeyRing:
    return KeyRing(choose_store(home), capsule, lambda: 7)


def filled(home: Path) -> KeyRing:
    """A ring with one key in a new encrypted file."""
    store = sealed(home)
    store.create(PASSPHRASE)
    keys = KeyRing(store, None, lambda: 7)
    keys.put("binance", "main", KEY, SECRET)
    return keys


# --- the file --------------------------------------------------------------------------------------------------------


def test_the_file_holds_nothing_readable_and_is_its_owners_alone(tmp_path: Path) -> None:
    filled(tmp_path)
    path = sealed_path(tmp_path)
    body = path.read_bytes()
    for text in (KEY, SECRET, PASSPHRASE):
        assert text.encode() not in body
        assert text[:12].encode() not in body
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_passphrase_opens_it_again(tmp_path: Path) -> None:
    filled(tmp_path)
    keys = ring(tmp_path)
    assert keys.open() is RingState.LOCKED
    assert keys.names() == ["BINANCE/main"]
    with pytest.raises(AuthenticationError, match="unlock"):
        keys.credentials(BINANCE, MAIN)
    assert keys.unlock(PASSPHRASE) is RingState.OPEN
    found = keys.credentials(BINANCE, MAIN)
    assert found is not None
    assert (found.key, found.secret) == (KEY, SECRET)
    assert keys.credentials(BINANCE, AccountId("other")) is None


def test_a_wrong_passphrase_opens_nothing(tmp_path: Path) -> None:
    filled(tmp_path)
    keys = ring(tmp_path)
    with pytest.raises(AuthenticationError):
        keys.unlock("correct horse batterx")
    assert keys.open("another wrong one") is RingState.LOCKED
    with pytest.raises(AuthenticationError):
        keys.credentials(BINANCE, MAIN)


def test_an_entry_cannot_take_the_place_of_another(tmp_path: Path) -> None:
    keys = filled(tmp_path)
    keys.put("okx", "main", "okx-key-0123456789", "okx-secret-0123456789", "okx-phrase")
    path = sealed_path(tmp_path)
    body = (
        path.read_text().replace("BINANCE/main", "XXX").replace("OKX/main", "BINANCE/main").replace("XXX", "OKX/main")
    )
    path.write_text(body)
    store = sealed(tmp_path)
    store.unlock(PASSPHRASE)
    with pytest.raises(AuthenticationError):
        store.load()


@pytest.mark.parametrize("body", [b"", b"{}", b"not json at all", b'{"format":1}'])
def test_a_damaged_file_is_a_sentence_and_is_left_alone(tmp_path: Path, body: bytes) -> None:
    path = sealed_path(tmp_path)
    path.write_bytes(body)
    keys = ring(tmp_path)
    assert keys.open(PASSPHRASE) is RingState.FAILED
    assert "damaged" in keys.reason
    with pytest.raises(AuthenticationError, match="damaged"):
        keys.credentials(BINANCE, MAIN)
    assert path.read_bytes() == body


def test_another_passphrase_leaves_the_keys_as_they_are(tmp_path: Path) -> None:
    keys = filled(tmp_path)
    assert isinstance(keys.store, SealedFile)
    keys.store.change_passphrase("a much better one")
    again = ring(tmp_path)
    with pytest.raises(AuthenticationError):
        again.unlock(PASSPHRASE)
    again.unlock("a much better one")
    assert again.credentials(BINANCE, MAIN) is not None


def test_short_passphrases_and_second_files_are_refused(tmp_path: Path) -> None:
    store = sealed(tmp_path)
    with pytest.raises(ValidationError, match="at least"):
        store.create("short")
    assert not store.exists
    store.create(PASSPHRASE)
    with pytest.raises(SecurityError, match="already"):
        store.create(PASSPHRASE)


def test_a_key_is_removed_without_unlocking(tmp_path: Path) -> None:
    filled(tmp_path)
    keys = ring(tmp_path)
    keys.open()
    assert keys.remove("binance", "main")
    assert not keys.remove("binance", "main")
    assert keys.unlock(PASSPHRASE) is RingState.EMPTY


# --- the keyring -----------------------------------------------------------------------------------------------------


def test_the_systems_keyring_keeps_homes_apart(tmp_path: Path, service: MemoryKeyring) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    keys = ring(one)
    assert isinstance(keys.store, SystemKeyring)
    assert keys.open() is RingState.EMPTY
    keys.put("binance", "main", KEY, SECRET)
    assert ring(one).open() is RingState.OPEN
    assert ring(other).open() is RingState.EMPTY
    assert keys.remove("BINANCE", "main")
    assert ring(one).open() is RingState.EMPTY


def test_a_bus_that_goes_away_takes_no_key_with_it(tmp_path: Path, service: MemoryKeyring) -> None:
    keys = ring(tmp_path)
    keys.put("binance", "main", KEY, SECRET)
    service.gone = True
    assert keys.credentials(BINANCE, MAIN) is not None
    assert ring(tmp_path).open() is RingState.FAILED


@pytest.mark.parametrize(
    ("backend", "says"),
    [(keyring.backends.fail.Keyring, "No keyring service"), (keyring.backends.null.Keyring, "does not keep")],
)
def test_backends_that_keep_nothing_are_not_used(
    tmp_path: Path, service: MemoryKeyring, backend: type[keyring.backend.KeyringBackend], says: str
) -> None:
    keyring.set_keyring(backend())
    assert says in keyring_problem()
    assert isinstance(choose_store(tmp_path), SealedFile)
    with pytest.raises(SecurityError, match=r"keys\.store"):
        choose_store(tmp_path, "keyring")


# --- over the end of a process ---------------------------------------------------------------------------------------


def test_the_capsule_opens_the_file_for_the_next_process(tmp_path: Path) -> None:
    filled(tmp_path)
    capsule = Capsule()
    first = ring(tmp_path, capsule)
    first.open(PASSPHRASE)
    second = ring(tmp_path, Capsule(os.dup(capsule.descriptor)))
    assert second.open() is RingState.OPEN
    assert second.credentials(BINANCE, MAIN) is not None
    # A key that was removed meanwhile does not come back with it.
    sealed(tmp_path).remove("BINANCE/main")
    assert ring(tmp_path, Capsule(os.dup(capsule.descriptor))).open() is RingState.EMPTY


def test_the_capsule_stands_in_for_a_keyring_whose_bus_is_gone(tmp_path: Path, service: MemoryKeyring) -> None:
    capsule = Capsule()
    ring(tmp_path, capsule).put("binance", "main", KEY, SECRET)
    service.gone = True
    keys = ring(tmp_path, Capsule(os.dup(capsule.descriptor)))
    assert keys.open() is RingState.OPEN
    assert keys.credentials(BINANCE, MAIN) is not None


def test_locking_leaves_nothing_in_the_capsule(tmp_path: Path) -> None:
    filled(tmp_path)
    capsule = Capsule()
    keys = ring(tmp_path, capsule)
    keys.open(PASSPHRASE)
    keys.lock()
    assert capsule.read() is None
    assert os.fstat(capsule.descriptor).st_size == 0
    with pytest.raises(AuthenticationError):
        keys.credentials(BINANCE, MAIN)


def test_a_key_of_another_file_opens_nothing(tmp_path: Path) -> None:
    filled(tmp_path)
    capsule = Capsule()
    capsule.write(Content(place=sealed(tmp_path).place, data_key=os.urandom(32)))
    assert ring(tmp_path, capsule).open() is RingState.LOCKED


def test_only_a_capsule_is_taken_for_one(tmp_path: Path) -> None:
    with (tmp_path / "other").open("wb") as other, pytest.raises(SecurityError, match="holds no keys"):
        Capsule(other.fileno())
    capsule = Capsule()
    assert not os.get_inheritable(capsule.descriptor)
    assert capsule.read() is None
    os.pwrite(capsule.descriptor, b"\x93rubbish", 0)
    assert capsule.read() is None


# --- passphrases nobody types ----------------------------------------------------------------------------------------


def test_a_passphrase_from_a_descriptor_and_from_systemd(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"from a pipe, with spaces \n")
    os.close(writing)
    assert from_descriptor(reading) == "from a pipe, with spaces "
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(reading)
    assert from_credential({}) is None
    assert from_credential({"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None
    (tmp_path / "quarterdeck-keys").write_text(PASSPHRASE + "\n")
    assert from_credential({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == PASSPHRASE
    (tmp_path / "quarterdeck-keys").write_text("\n")
    with pytest.raises(SecurityError, match="no passphrase"):
        from_credential({"CREDENTIALS_DIRECTORY": str(tmp_path)})


# --- nothing is shown ------------------------------------------------------------------------------------------------


def test_nothing_secret_is_in_any_text(tmp_path: Path) -> None:
    body = "MHcCAQEEIBkg4LVWM9nuwNSk3yByxZpYRTBnVJFVcVqTbGgxW0jqoAoGCCqGSM49"
    pem = f"-----BEGIN EC PRIVATE KEY-----\n{body}\n-----END EC PRIVATE KEY-----\n"
    keys = filled(tmp_path)
    keys.put("coinbase", "main", "organizations/1/apiKeys/2", pem)
    entry = KeyEntry(venue=BINANCE, account=MAIN, key=KEY, secret=SECRET)
    shown = (
        f"{keys.credentials(BINANCE, MAIN)!r} {entry!r} {keys.summaries()!r} {Content(place='', entries=(entry,))!r}"
    )
    for text in (KEY, SECRET, pem.splitlines()[1]):
        assert text not in shown
        assert text not in str(logs.redact(f"refused: {text}!"))
    assert keys.summaries()[0].fingerprint != keys.summaries()[1].fingerprint


def test_rotating_keeps_the_day_it_was_added(tmp_path: Path) -> None:
    keys = filled(tmp_path)
    keys._now = lambda: 9
    said = keys.put("BINANCE", "main", "another-key-0123456789", "another-secret-0123456789")
    assert (said.added, said.rotated) == (7, 9)


@pytest.mark.parametrize(("venue", "account"), [("", "main"), ("BIN ANCE", "main"), ("BINANCE", "a/b"), ("OKX", "")])
def test_names_that_cannot_be_kept(venue: str, account: str) -> None:
    with pytest.raises(ValidationError):
        key_name(venue, account)


def test_halves_of_a_key_are_refused(tmp_path: Path) -> None:
    keys = filled(tmp_path)
    with pytest.raises(ValidationError, match="two parts"):
        keys.put("okx", "main", "only-the-key", "  ")
    locked = ring(tmp_path)
    locked.open()
    with pytest.raises(LockedError):
        locked.put("okx", "main", "key", "secret")
