"""Operations on a replay; a live engine has none to offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.registry import operation
from engine.control.requests import Empty
from engine.control.requests_replay import ReplayPlay, ReplaySeek, ReplayStep
from engine.errors import ValidationError

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views_replay import ReplayView, SessionRow


@operation("replay.state", Empty)
async def state(context: Context, _: Empty) -> ReplayView:
    """Where the replay stands."""
    return context.need_replay().view()


@operation("replay.sessions", Empty)
async def sessions(context: Context, _: Empty) -> list[SessionRow]:
    """Every engine process that the journal tells of, the newest first."""
    return await context.need_replay().sessions()


@operation("replay.seek", ReplaySeek)
async def seek(context: Context, request: ReplaySeek) -> ReplayView:
    """Go to a fact, a time or the beginning of a session."""
    player = context.need_replay()
    if request.seq is not None:
        return await player.seek(request.seq)
    if request.ts is not None:
        return await player.seek_time(request.ts)
    if request.session is not None:
        return await player.seek_session(request.session)
    raise ValidationError("Say where to go: the number of a fact, a time, or a session.")


@operation("replay.step", ReplayStep)
async def step(context: Context, request: ReplayStep) -> ReplayView:
    """Go to the next facts of a kind, or to those before."""
    if not request.count:
        raise ValidationError("A step goes at least one fact on or back.")
    return await context.need_replay().step(request.count, request.kind)


@operation("replay.play", ReplayPlay)
async def play(context: Context, request: ReplayPlay) -> ReplayView:
    """Let time pass as it did, or faster; times without an engine are passed over."""
    return context.need_replay().play(request.speed)


@operation("replay.pause", Empty)
async def pause(context: Context, _: Empty) -> ReplayView:
    """Stand still."""
    return context.need_replay().pause()
