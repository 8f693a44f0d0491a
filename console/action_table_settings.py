"""What keys do on the screen of settings: keys of accounts, real money, and channels of alerts."""

from __future__ import annotations

from console.actions import Action, Tier

__all__ = ["SETTINGS"]

A = Action
CONFIRM, TYPE = Tier.CONFIRM, Tier.TYPE

SETTINGS = (
    A("settings.add", "a", "add", "Add key", "Keep the key of an account at an exchange.", CONFIRM, footer=1),
    A("settings.rotate", "r", "rotate", "Rotate", "Replace the chosen key by a new one.", CONFIRM, footer=6),
    A("settings.remove", "x", "remove", "Remove", "Forget the chosen key.", CONFIRM, footer=7, danger=True),
    A("settings.test", "t", "test", "Test key", "Ask the venue what the chosen key may do.", footer=2),
    A("settings.unlock", "p", "unlock", "Unlock", "Open the keys' file with its passphrase.", CONFIRM, footer=3),
    A("settings.lock", "L", "lock", "Lock", "Forget the keys of an encrypted file until it is unlocked.", CONFIRM),
    A("settings.consent", "e", "consent", "Agree", "Let the chosen account trade real money.", TYPE, footer=5),
    A("settings.arm", "m", "arm", "Arm", "Let this console send orders with real money for a time.", TYPE, footer=4),
    A("settings.disarm", "s", "disarm", "Disarm", "Take that permission back at once.", footer=8),
    A("settings.alert", "f", "alert", "Test alert", "Send a test through every channel of alerts.", CONFIRM, footer=9),
)
