"""Effects on the world outside: each made once, however often it is tried.

A row is written before the call. A try that finds the row ``pending`` does not know whether the effect was made: it
then does what the caller declared for that case, and never just tries again.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from agent_workflows.ports import Effects
from bridge.contracts.failures import Code, NotSent, Refused

Call = Callable[[], Awaitable[dict[str, Any]]]
LookUp = Callable[[], Awaitable[dict[str, Any] | None]]

MADE: Final = "made"
REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True)
class Effect:
    """``key`` is made from tenant and business key, never from a model's text. ``run`` is who wants it."""

    key: str
    tenant: str
    run: str


@dataclass(frozen=True, slots=True)
class IfUnknown:
    """What to do where nobody knows whether the effect was made.

    ``repeats``: the other side answers a second call with the same key from its first, so call again. ``look_up``: ask
    it; None means that it was not made. With neither, ``Refused(OUTCOME_UNKNOWN)``: a person has to say.
    """

    repeats: bool = False
    look_up: LookUp | None = None


async def make_once(effects: Effects, effect: Effect, call: Call, if_unknown: IfUnknown) -> dict[str, Any]:
    """The result of the effect, made now or before.

    Raises what ``call`` raises: after a ``Refused`` every later try is refused the same way, after ``NotSent`` the
    next one starts from the beginning, after any other failure the outcome is unknown.
    """
    state, kept = await effects.begin(effect.key, tenant=effect.tenant, run=effect.run)
    match state:
        case "made":
            return dict(json.loads(kept or "{}"))
        case "refused":
            said = json.loads(kept or "{}")
            raise Refused(Code(said["code"]), said["reason"])
        case "pending" if not if_unknown.repeats:
            found = await _looked_up(effect, if_unknown)
            if found is not None:
                await effects.finish(effect.key, state=MADE, result=json.dumps(found))
                return found
        case _:
            pass
    return await _made(effects, effect, call)


async def _looked_up(effect: Effect, if_unknown: IfUnknown) -> dict[str, Any] | None:
    if if_unknown.look_up is None:
        problem = f"nobody knows whether {effect.key!r} was made: an earlier try ended without an answer; look, and say"
        raise Refused(Code.OUTCOME_UNKNOWN, problem)
    return await if_unknown.look_up()


async def _made(effects: Effects, effect: Effect, call: Call) -> dict[str, Any]:
    try:
        result = await call()
    except Refused as error:
        said = {"code": error.code.value, "reason": str(error)}
        await effects.finish(effect.key, state=REFUSED, result=json.dumps(said))
        raise
    except NotSent:
        await effects.forget(effect.key)
        raise
    await effects.finish(effect.key, state=MADE, result=json.dumps(result))
    return result
