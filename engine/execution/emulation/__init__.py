"""What a venue cannot do itself and the engine does for it, for as long as the engine lives."""

from engine.execution.emulation.held import HELD_PREFIX, is_held
from engine.execution.emulation.venue import EmulatingVenue, emulated, waits_here

__all__ = ["HELD_PREFIX", "EmulatingVenue", "emulated", "is_held", "waits_here"]
