"""Operations on the keys of accounts: list, add, rotate, remove, test, unlock, lock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.control.key_test import ask_open, ask_venue, those_there
from engine.control.registry import Role, Tier, operation
from engine.control.requests import Empty
from engine.control.requests_keys import AddKey, KeyOf, NewPassphrase, TryKey, Unlock
from engine.control.views_keys import KeyRow, KeysView, KeyTest
from engine.errors import ConflictError, NotFoundError, SecurityError, ValidationError
from engine.keys.entry import key_name
from engine.keys.ring import RingState
from engine.keys.sealed import SealedFile
from engine.model.account import TradingMode
from engine.model.ids import AccountId, VenueId
from engine.venue_settings import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from engine.control.context import Context
    from engine.keys.entry import KeyName
    from engine.keys.ring import KeyRing
    from engine.venue_unit import VenueUnit


@operation("keys.list", Empty, offline=True)
async def list_keys(context: Context, _: Empty) -> KeysView:
    """Which accounts have keys, where they are kept, and whether they are unlocked; nothing secret."""
    vault = await context.need_vault()
    return await asyncio.to_thread(_view, vault.ring())


@operation("keys.add", AddKey, Role.ADMIN, mutates=True, offline=True)
async def add(context: Context, request: AddKey) -> KeysView:
    """Keep the key of an account that has none yet."""
    ring = await _ring(context)
    name = _name(context, request)
    if name in await asyncio.to_thread(ring.names):
        raise ConflictError(f"{name} has a key already; replace it with `quarterdeck keys rotate`.")
    await asyncio.to_thread(_put, ring, request, name)
    return await _changed(context, ring, name)


@operation("keys.rotate", AddKey, Role.ADMIN, mutates=True, offline=True)
async def rotate(context: Context, request: AddKey) -> KeysView:
    """Replace the key of an account; connections that are open go on with the old one until they are made anew."""
    ring = await _ring(context)
    name = _name(context, request)
    if name not in await asyncio.to_thread(ring.names):
        there = await asyncio.to_thread(those_there, ring)
        raise NotFoundError(f"{name} has no key to replace; add one with `quarterdeck keys add`. {there}")
    await asyncio.to_thread(_put, ring, request, name)
    return await _changed(context, ring, name)


@operation("keys.remove", KeyOf, Role.ADMIN, mutates=True, tier=Tier.CONFIRM, offline=True)
async def remove(context: Context, request: KeyOf) -> KeysView:
    """Forget the key of an account; take it back at the venue as well."""
    ring = await _ring(context)
    name = _name(context, request)
    if not await asyncio.to_thread(ring.remove, *name.split("/")):
        raise NotFoundError(f"{name} has no key. {await asyncio.to_thread(those_there, ring)}")
    return await _changed(context, ring, name)


@operation("keys.test", TryKey, Role.ADMIN, offline=True)
async def test(context: Context, request: TryKey) -> KeyTest:
    """Ask the venue what the key of an account may do; nothing is ordered."""
    vault = await context.need_vault()
    phrase = _text(request.unlock)
    # What an engine has locked is opened by `keys.unlock` alone, which tells everybody.
    if phrase and context.engine is None and vault.state is RingState.LOCKED:
        await asyncio.to_thread(vault.ring().unlock, phrase)
    venue, _, account = _name(context, request).partition("/")
    unit = context.engine.venues.get(VenueId(venue)) if context.engine is not None else None
    if unit is not None and account in unit.accounts and not unit.connection.lost and _is_live(unit):
        return await ask_open(context.settings, unit.guard, AccountId(account), context.clock)
    return await ask_venue(context.settings, vault, context.clock, VenueId(venue), AccountId(account))


@operation("keys.unlock", Unlock, Role.ADMIN, mutates=True, emergency=True)
async def unlock(context: Context, request: Unlock) -> KeysView:
    """Open the encrypted file of keys for the running engine, and for those that follow it."""
    ring = await _ring(context)
    await asyncio.to_thread(ring.unlock, _text(request.passphrase))
    return await _changed(context, ring)


@operation("keys.lock", Empty, Role.ADMIN, mutates=True, tier=Tier.CONFIRM)
async def lock(context: Context, _: Empty) -> KeysView:
    """Forget all keys of an encrypted file; what is connected stays so until it connects again."""
    ring = await _ring(context)
    if not isinstance(ring.store, SealedFile):
        raise ValidationError(f"The keys are in {ring.store.place}; lock that instead.")
    await asyncio.to_thread(ring.lock)
    return await _changed(context, ring)


@operation("keys.reload", Empty, Role.ADMIN, mutates=True)
async def reload(context: Context, _: Empty) -> KeysView:
    """Read the keys again, because another program has changed them."""
    ring = await _ring(context)
    await asyncio.to_thread(ring.reload)
    return await _changed(context, ring)


@operation("keys.passphrase", NewPassphrase, Role.ADMIN, mutates=True, offline=True)
async def passphrase(context: Context, request: NewPassphrase) -> KeysView:
    """Let another passphrase open the encrypted file of keys."""
    ring = await _ring(context)
    store = ring.store
    if not isinstance(store, SealedFile) or not store.exists:
        raise ValidationError("There is no encrypted file of keys here; there is no passphrase to change.")

    def change(file: SealedFile) -> None:
        file.unlock(_text(request.old))
        file.change_passphrase(_text(request.new))
        ring.reload()

    await asyncio.to_thread(change, store)
    return await _changed(context, ring)


async def _ring(context: Context) -> KeyRing:
    return (await context.need_vault()).ring()


async def _changed(context: Context, ring: KeyRing, name: KeyName = "") -> KeysView:
    if context.on_keys is not None:
        context.on_keys()
    return await asyncio.to_thread(_view, ring, name)


def _is_live(unit: VenueUnit) -> bool:
    return all(account.mode is TradingMode.LIVE for account in unit.accounts.values())


def _name(context: Context, request: KeyOf) -> KeyName:
    """Which account is meant: where none is said, the first one of the venue as the settings have it."""
    account = request.account
    if not account:
        name = request.venue.lower()
        venue = context.settings.venues.get(name)
        if venue is None:
            kind = KINDS.get(name)
            account = f"test-{name}" if kind is not None and kind.testnet else name
        elif venue.trading_mode is TradingMode.LIVE:
            account = venue.account_ids[0]
        else:
            account = f"test-{name}" if venue.testnet and KINDS[venue.kind].testnet else name
    return key_name(request.venue, account)


def _put(ring: KeyRing, request: AddKey, name: KeyName) -> None:
    store, phrase = ring.store, _text(request.unlock)
    if isinstance(store, SealedFile):
        if not store.exists:
            if not phrase:
                raise ValidationError(f"The keys will be kept in {store.place}; it needs a new passphrase.")
            _refuse_nothing(request)
            store.create(phrase)
        elif ring.state is RingState.LOCKED and phrase:
            ring.unlock(phrase)
    venue, _, account = name.partition("/")
    ring.put(venue, account, _text(request.key), _text(request.secret), _text(request.passphrase))


def _refuse_nothing(request: AddKey) -> None:
    """Refuse half a key before a file is made for it."""
    if not _text(request.key).strip() or not _text(request.secret).strip():
        raise ValidationError("A key has two parts, the key and its secret; one of them is empty.")


def _view(ring: KeyRing, changed: KeyName = "") -> KeysView:
    store = ring.store
    rows = {summary.name: summary for summary in ring.summaries()}
    keys = []
    for name in _safely(ring.names):
        venue, _, account = name.partition("/")
        found = rows.get(name)
        keys.append(
            KeyRow(
                venue=venue,
                account=account,
                fingerprint=found.fingerprint if found is not None else "",
                added=found.added if found is not None else 0,
                rotated=found.rotated if found is not None else 0,
            )
        )
    return KeysView(
        state=ring.state,
        reason=ring.reason,
        place=store.place,
        has_passphrase=isinstance(store, SealedFile),
        exists=store.exists if isinstance(store, SealedFile) else True,
        keys=tuple(keys),
        changed=changed,
    )


def _safely(names: Callable[[], list[str]]) -> list[str]:
    try:
        return names()
    except SecurityError:
        # Why is told by the ring's own reason.
        return []


def _text(secret: SecretStr) -> str:
    return secret.get_secret_value()
