"""Block C: one decision about tokens for Authorize, transaction events and remote starts, in every version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from twisted.logger import Logger

from csms.blocks.outcome import Outcome, Received
from csms.hooks import Hooks
from csms.model.authorization import (
    Authorization,
    AuthorizationRequest,
    AuthorizationStatus,
    Authorize,
    Decision,
    Purpose,
    TokenAuthorized,
)
from csms.model.certificates import ContractCheck, ContractQuestion, ContractStatus
from csms.running import run_guarded
from csms.stations import Station
from csms.store import Store


@dataclass(frozen=True, slots=True)
class Judged:
    """A decision with who made it (empty: the default denial), and the news of it."""

    decision: Decision
    news: TokenAuthorized | None

    @property
    def authorization(self) -> Authorization:
        """What was decided."""
        return self.decision.authorization


class AuthorizationBlock:
    """Asks the plugins in order; nobody's opinion is a denial."""

    log = Logger()

    def __init__(self, hooks: Hooks, store: Store, now: Callable[[], datetime]) -> None:
        self._hooks = hooks
        self._store = store
        self._now = now

    async def authorize(self, station: Station, request: Authorize, received: Received) -> Outcome:
        """A station asks before it starts."""
        question = AuthorizationRequest(
            station.ref, request.id_token, received.at, Purpose.AUTHORIZE, certificate=request.certificate
        )
        check = await self._check_contract(question, request)
        if check is not None and check.status is not ContractStatus.ACCEPTED:
            denied = Authorization(AuthorizationStatus.INVALID, reason=f"contract certificate: {check.reason}")
            judged = self._judged(question, denied, "")
        else:
            judged = await self.judge(question)
        self.note(question, judged)
        answer = judged.authorization
        if check is not None:
            answer = replace(answer, certificate_status=check.status.value)
        return Outcome(answer, (judged.news,) if judged.news else ())

    async def _check_contract(self, question: AuthorizationRequest, request: Authorize) -> ContractCheck | None:
        """What became of a contract certificate; None where there is none. Without a plugin that can tell, it is not believed."""
        if request.certificate is None and not request.ocsp:
            return None
        contract = ContractQuestion(question.station, request.id_token, question.at, request.certificate, request.ocsp)
        answer = await self._hooks.ask("check_contract", contract=contract)
        if answer is None:
            return ContractCheck(ContractStatus.NOT_AVAILABLE, "no plugin checks contract certificates")
        return answer.value  # type: ignore[no-any-return]

    def note(self, request: AuthorizationRequest, judged: Judged) -> None:
        """Keep a decision that no transaction event carries; nobody waits for it."""
        rows = self._store.decisions
        run_guarded(
            lambda: rows.note(request.station.id, request.id_token, request.purpose, judged.decision, request.at),
            self.log,
        )

    async def judge(self, request: AuthorizationRequest, *, own: str = "", counted: bool = True) -> Judged:
        """Whether a token may charge now. ``own`` is the id on the wire of the transaction that asks, which never counts as another; where what
        charges elsewhere is no matter, nothing is ``counted``."""
        answer = await self._hooks.ask("authorize", request=request)
        if answer is None:
            reason = "no plugin knows this token"
            return self._judged(request, Authorization(AuthorizationStatus.UNKNOWN, reason=reason), "")
        authorization: Authorization = answer.value
        if (
            authorization.status is AuthorizationStatus.ACCEPTED
            and counted
            and self._too_many(request, authorization, own)
        ):
            reason = "the token is charging elsewhere"
            authorization = replace(authorization, status=AuthorizationStatus.CONCURRENT_TX, reason=reason)
        return self._judged(request, authorization, answer.plugin)

    def _too_many(self, request: AuthorizationRequest, authorization: Authorization, own: str) -> bool:
        limit = 1 if authorization.concurrent is None else authorization.concurrent
        if limit == 0 or request.purpose is Purpose.AUTHORIZE:
            return False
        return self._store.transactions.charging(request.id_token, but=(request.station.id, own), most=limit) >= limit

    def _judged(self, request: AuthorizationRequest, authorization: Authorization, plugin: str) -> Judged:
        news = TokenAuthorized(
            request.station, self._now(), request.id_token, authorization.status, plugin, authorization.reason
        )
        return Judged(Decision(authorization, plugin), news)
