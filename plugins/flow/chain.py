"""What rules' answers become: the core's own words, and for ``authorize`` a walk through the plugins that the rule names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from csms_plugins.flow.files import LONGEST_S, duration, grown

from csms.api import (
    Authorization,
    AuthorizationRequest,
    AuthorizationStatus,
    BootDecision,
    BootStatus,
    Csms,
    IdToken,
    PluginFailed,
    ResetPlan,
    ResetWhen,
    StatusCheckPlan,
    StatusSilence,
    TariffChoice,
)

ESCALATE_AFTER_S = 900.0
EACH_S, BUDGET_S = 3.0, 5.0
RETRY_EVERY_S, RETRY_BACKOFF = 60.0, 1.5


async def authorization(
    csms: Csms, answer: Mapping[str, Any], request: AuthorizationRequest, rule: str
) -> Authorization | None:
    """The authorization that a rule decides; None where its chain has no opinion and no last word."""
    if answer.get("ask") is None:
        return _judged(answer, rule)
    on_error = str(answer.get("on_error") or "next")
    each_s = _seconds(answer.get("each"), EACH_S)
    deadline = csms.clock.seconds() + BUDGET_S
    for plugin in _names(answer["ask"]):
        left_s = min(each_s, deadline - csms.clock.seconds())
        if left_s <= 0:
            break
        try:
            found = await csms.consult(plugin, "authorize", left_s, request=request)
        except PluginFailed as failed:
            if on_error == "deny":
                return Authorization(AuthorizationStatus.INVALID, reason=f"rule {rule}: {failed}")
            continue
        if isinstance(found, Authorization):
            return found
    if answer.get("otherwise") is None:
        return None
    return Authorization(
        AuthorizationStatus(str(answer["otherwise"])), reason=f"rule {rule}: no plugin knows this token"
    )


def _names(value: Any) -> Sequence[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"ask is {value!r}, and no list of plugins")
    return [one for one in value if one != "flow_rules"]


def _judged(answer: Mapping[str, Any], rule: str) -> Authorization:
    word = answer.get("status") or ("Accepted" if answer.get("accept") is True else "Invalid")
    group, concurrent = answer.get("group"), answer.get("concurrent")
    return Authorization(
        AuthorizationStatus(word),
        IdToken(str(group), "Central") if group else None,
        reason=str(answer.get("reason") or f"decided by rule {rule}"),
        concurrent=concurrent if isinstance(concurrent, int) else None,
    )


def reset_plan(answer: Mapping[str, Any], rule: str) -> ResetPlan:
    """The plan for a reset; raises ValueError."""
    escalate = answer.get("escalate")
    after_s = _seconds(answer.get("escalate_after"), ESCALATE_AFTER_S)
    when = ResetWhen(str(answer.get("when")))
    return ResetPlan(when, after_s, ResetWhen(escalate) if escalate else None, f"rule {rule}")


def boot_decision(answer: Mapping[str, Any]) -> BootDecision:
    """The decision about a boot; raises ValueError."""
    interval = answer.get("interval")
    if isinstance(interval, str):
        interval = int(_seconds(interval, 0))
    if interval is not None and (type(interval) is not int or interval < 1):
        raise ValueError(f"interval {interval!r} is not a number of seconds")
    return BootDecision(BootStatus(str(answer.get("status"))), interval, str(answer.get("reason") or ""))


def tariff_choice(answer: Mapping[str, Any], rule: str) -> TariffChoice:
    """The tariff of a transaction; raises ValueError."""
    tariff = answer.get("tariff")
    if not isinstance(tariff, str) or not tariff:
        raise ValueError(f"{tariff!r} is not the name of a tariff")
    return TariffChoice(tariff, str(answer.get("reason") or f"rule {rule}"))


def status_plan(answer: Mapping[str, Any], silence: StatusSilence, rule: str) -> StatusCheckPlan:
    """How a silent connector is asked: so many tries, with pauses that grow; then it is a fault. Raises ValueError."""
    tries, backoff = answer.get("tries"), answer.get("backoff", RETRY_BACKOFF)
    if not isinstance(tries, int) or isinstance(tries, bool) or not isinstance(backoff, int | float):
        raise ValueError(f"{tries!r} tries with backoff {backoff!r} are no numbers")
    every_s, first_s = _seconds(answer.get("every"), RETRY_EVERY_S), _seconds(answer.get("first"), 0.0)
    if silence.known:
        return StatusCheckPlan(ask=False, next_in_s=every_s)
    if silence.silence_s < first_s:
        return StatusCheckPlan(ask=False, next_in_s=first_s - silence.silence_s)
    if silence.asked >= tries:
        return StatusCheckPlan(ask=False, fault=True, next_in_s=every_s, reason=f"rule {rule}")
    pause_s = grown(every_s, backoff, silence.asked, LONGEST_S)
    return StatusCheckPlan(ask=True, next_in_s=pause_s, reason=f"rule {rule}")


def missing_plan(after_s: float, silence: StatusSilence) -> StatusCheckPlan:
    """For rules on ``status.missing``: say so when a connector has been silent for so long, and ask nothing."""
    if silence.known:
        return StatusCheckPlan(ask=False, next_in_s=max(after_s, 1.0))
    if silence.silence_s < after_s:
        return StatusCheckPlan(ask=False, next_in_s=after_s - silence.silence_s)
    return StatusCheckPlan(ask=False, fault=True)


def _seconds(value: Any, default: float) -> float:
    if value is None:
        return default
    seconds = duration(value)
    if seconds is None:
        raise ValueError(f"{value!r} is not a duration")
    return seconds
