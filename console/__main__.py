"""`python -m console`: the command where the script `quarterdeck` is not installed."""

from __future__ import annotations

from console.cli import main

if __name__ == "__main__":
    main()
