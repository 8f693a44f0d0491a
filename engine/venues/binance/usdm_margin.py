"""Leverage and margin mode of Binance USD-M: what the venue holds for a symbol, and how it is set.

Both are kept by symbol: 20x in cross mode where nobody has ever set anything. The mode can be changed only without a
position and without orders.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.errors import ConfigurationError, DataValidationError, QuarterdeckError, ValidationError
from engine.model.margin import MarginMode, MarginSetting
from engine.venues.binance import usdm_parse as parse
from engine.venues.binance.adapter import BinanceAdapter
from engine.venues.binance.market_parse import decode
from engine.venues.binance.table import HEDGED
from engine.venues.binance.usdm_table import UsdmEndpoints

if TYPE_CHECKING:
    from engine.model.ids import AccountId, InstrumentId
    from engine.venues.native.line import AccountLine

__all__ = ["LeverageUpdate", "UsdmMargin", "parse_leverage_update", "parse_symbol_config"]

SET_ALREADY = "-4046"
"""Code of a margin mode that holds already."""


class _SymbolConfig(msgspec.Struct):
    symbol: str
    marginType: str
    leverage: Decimal


class LeverageUpdate(msgspec.Struct):
    """`ac` of `ACCOUNT_CONFIG_UPDATE`; changes of the margin mode are not told."""

    s: str
    l: Decimal  # noqa: E741  the venue's name


_symbol_configs = msgspec.json.Decoder(list[_SymbolConfig])
_leverage: msgspec.json.Decoder[LeverageUpdate | None] = msgspec.json.Decoder(LeverageUpdate | None)


def parse_symbol_config(body: bytes, symbol: str) -> MarginSetting:
    """Answer of `symbolConfig`: leverage and margin mode of a symbol.

    Raises:
        DataValidationError: It says nothing of the symbol.
    """
    found = next((row for row in decode(_symbol_configs, body, "settings of a symbol") if row.symbol == symbol), None)
    if found is None or found.marginType not in ("ISOLATED", "CROSSED"):
        raise DataValidationError(f"The answer does not say at which leverage and margin mode {symbol} is traded.")
    return MarginSetting(found.leverage, MarginMode.ISOLATED if found.marginType == "ISOLATED" else MarginMode.CROSS)


def parse_leverage_update(frame: parse.PrivateFrame) -> LeverageUpdate | None:
    """What an `ACCOUNT_CONFIG_UPDATE` is about; None for another setting than leverage."""
    return decode(_leverage, frame.ac, "a change of leverage")


class UsdmMargin(BinanceAdapter):
    """The part of the adapter that deals in leverage and margin modes."""

    async def margin(self, account: AccountId, instrument: InstrumentId, mode: MarginMode) -> MarginSetting:
        """What holds for the symbol; orders name no mode here.

        Raises:
            ConfigurationError: The account is in hedge mode.
            ExchangeConnectionError: The venue did not answer.
        """
        line, symbol = self.line(account), self.catalogue.symbol(instrument)
        _, body = await asyncio.gather(
            self._check_one_way(line), self.ask(line, UsdmEndpoints.symbol_config, {"symbol": symbol})
        )
        return parse_symbol_config(body, symbol)

    async def _check_one_way(self, line: AccountLine) -> None:
        if parse.parse_position_mode(await self.ask(line, UsdmEndpoints.account_config)):
            raise ConfigurationError(HEDGED.format(venue=f"{self.id} ({line.account})"), error_code="hedge_mode")

    async def set_margin(
        self, account: AccountId, instrument: InstrumentId, leverage: Decimal, mode: MarginMode
    ) -> None:
        """Set leverage and margin mode; what is set already is no error.

        Raises:
            ValidationError: The leverage is no whole number, or the venue refuses (an open position, too much).
            UnknownOutcomeError: No answer; set it again.
        """
        line, symbol = self.line(account), self.catalogue.symbol(instrument)
        if leverage < 1 or leverage != leverage.to_integral_value():
            raise ValidationError(f"{self.id} takes whole numbers as leverage, from 1 on; {leverage} is none.")
        native = "ISOLATED" if mode is MarginMode.ISOLATED else "CROSSED"
        try:
            await self.ask(line, UsdmEndpoints.margin_type, {"symbol": symbol, "marginType": native})
        except QuarterdeckError as error:
            if error.error_code != SET_ALREADY:
                raise
        await self.ask(line, UsdmEndpoints.leverage, {"symbol": symbol, "leverage": str(int(leverage))})
