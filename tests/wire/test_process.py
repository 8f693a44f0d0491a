"""A simulator as a process of its own: it tells where it is, speaks TLS, and leaves its ledger behind."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_venue_is_a_process_with_addresses_keys_and_a_ledger(tmp_path: Path) -> None:
    dump = tmp_path / "ledger.json"
    words = ["-m", "tests.wire", "--venue", "binance", "--folder", str(tmp_path), "--dump", str(dump)]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        told: dict[str, Any] = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        assert (told["venue"], told["keys"][0]["account"]) == ("BINANCE", "main")
        assert "BINANCE:BTC/USDT" in told["instruments"]
        context = ssl.create_default_context(cafile=told["ca_file"])
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{told['addresses']['rest']}/api/v3/depth?symbol=BTCUSDT", ssl=context) as answer,
        ):
            book = await answer.json()
            assert float(book["bids"][0][0]) < float(book["asks"][0][0])
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 20)
    assert process.returncode == 0
    assert json.loads(dump.read_text())["balances"]["main"]["USDT"]["total"] == "100000"
