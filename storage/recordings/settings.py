"""Settings of the recorder, as the home folder's configuration holds them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["RecorderSettings"]

_GIB = 1 << 30


class RecorderSettings(BaseModel):
    """The recorder of market data."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    what: Literal["bots", "watched", "off"] = Field(
        "bots", description="Whose markets are recorded: those of bots that run, all that are watched, or none."
    )
    simulated: bool = Field(
        default=False,
        description="Record the built-in simulated market too, which its seed brings back without a recording.",
    )
    quota_gib: float = Field(
        2.0, gt=0, le=100_000, description="Room for all recordings, in GiB; the oldest sessions make place."
    )
    max_days: float = Field(30.0, gt=0, le=3650, description="Age in days at which a recording is removed.")
    keep_free_gib: float = Field(
        1.0, ge=0, le=100_000, description="Room on the disk, in GiB, below which recording stops until there is more."
    )
    chunk_seconds: float = Field(
        60.0, ge=1, le=3600, description="Longest time that what was heard waits in memory; a crash loses no more."
    )

    @property
    def quota_bytes(self) -> int:
        """Room for all recordings."""
        return int(self.quota_gib * _GIB)

    @property
    def keep_free_bytes(self) -> int:
        """Room on the disk that is left to others."""
        return int(self.keep_free_gib * _GIB)

    @property
    def max_age_ns(self) -> int:
        """Age at which a recording is removed."""
        return int(self.max_days * 86_400e9)

    @property
    def chunk_ns(self) -> int:
        """Longest time in memory."""
        return int(self.chunk_seconds * 1e9)
