"""Our roads over quotes as a child: `python -m tests.bench.peers.ours_quotes REQUEST RESULT`.

The variant `compiled` takes the road of quoting sweeps, any other the event path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.bench.ours_quotes import compiled_run, event_run
from tests.bench.peers.children import kit
from tests.kit.quoting import quote_tape

if TYPE_CHECKING:
    from collections.abc import Callable


def _prepare(columns: kit.Columns, request: dict[str, Any]) -> Callable[[], Any]:
    tape = quote_tape({name: columns.numpy(name) for name in columns.values})
    road = compiled_run if request["variant"] == "compiled" else event_run
    if road is compiled_run:
        road(tape)  # compiled once before
    return lambda: road(tape)


def _read(given: Any, request: dict[str, Any]) -> dict[str, Any]:
    return {"fills": given[2]}


def _release() -> str:
    from importlib.metadata import version

    return version("quarterdeck")


if __name__ == "__main__":
    kit.main(_release(), {"W4": _prepare}, _read)
