"""The systemd user unit of an engine, and what a person does with it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from console.home import default_home

__all__ = ["next_steps", "unit_name", "unit_path", "unit_text"]

UNIT = """\
[Unit]
Description=Quarterdeck engine of {home}
Documentation=file:{home}/logs
# five starts within ten minutes, then somebody has to look
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart={command} --home {home_argument} engine start --foreground
ExecReload=/bin/kill -HUP $MAINPID
# longer than the engine gives itself to end in order
TimeoutStopSec=45
# recovery of a long journal takes its time
TimeoutStartSec=180
KillMode=mixed
# what was unlocked is kept here for the next process; after a reboot `quarterdeck keys unlock` opens the keys again,
# or a credential does (in a user's unit from systemd 256 on):
#   systemd-creds encrypt --user --name=quarterdeck-keys - quarterdeck-keys.cred
# LoadCredentialEncrypted=quarterdeck-keys:%E/quarterdeck-keys.cred
FileDescriptorStoreMax=1
# beats come from the engine's own event loop
WatchdogSec=30
WatchdogSignal=SIGABRT
TimeoutAbortSec=10
Restart=on-failure
RestartSec=1
# another engine holds the home folder: trying again would not help
RestartPreventExitStatus=3
NoNewPrivileges=yes
UMask=0077

[Install]
WantedBy=default.target
"""


def unit_name(home: Path) -> str:
    """The unit's name: `quarterdeck`, with the folder's name behind it when it is not the usual home."""
    if home == default_home():
        return "quarterdeck.service"
    return f"quarterdeck-{re.sub(r'[^A-Za-z0-9_.-]+', '-', home.name).strip('-.') or 'home'}.service"


def unit_path(home: Path) -> Path:
    """Where a user's units are."""
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "systemd" / "user" / unit_name(home)


def unit_text(home: Path) -> str:
    """The whole unit for a home folder."""
    script = Path(sys.executable).with_name("quarterdeck")
    command = [script] if script.exists() else [Path(sys.executable), Path("-P"), Path("-m"), Path("console")]
    return UNIT.format(
        home=str(home).replace("%", "%%"),
        home_argument=_quoted(str(home)),
        command=" ".join(_quoted(str(part)) for part in command),
    )


def next_steps(name: str) -> str:
    """What to type next, and what lingering is for."""
    user = os.environ.get("USER") or "$USER"
    return (
        "Next:\n"
        "  systemctl --user daemon-reload\n"
        f"  systemctl --user enable --now {name}\n"
        f"  systemctl --user status {name}\n\n"
        "A user's services end with the last session, unless lingering is on. To let the engine run while nobody is\n"
        "logged in, and to start it with the machine:\n"
        f"  loginctl enable-linger {user}\n\n"
        f"`systemctl --user reload {name}` reads the settings again. An engine that runs already in this home folder\n"
        "must be stopped first: `quarterdeck stop`."
    )


def _quoted(text: str) -> str:
    """An argument as systemd reads it."""
    text = text.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{text}"' if re.search(r"[\s'\"\\;]", text) else text
