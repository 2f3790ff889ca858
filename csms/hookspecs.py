"""Every hook on one page. A hook takes one question and returns one answer, or None for "no opinion".

Decisions are asked in the order of the site file until one plugin answers; the documented default follows when none does. News go to
everyone. Implementations may be plain functions or coroutines; each has a deadline, and one that raises or hangs is passed over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Union

import pluggy

from csms.model.authorization import Authorization, AuthorizationRequest
from csms.model.availability import StatusCheckPlan, StatusSilence
from csms.model.billing import (
    BillDelivered,
    BillDelivery,
    Consumption,
    Price,
    ReadingVerdicts,
    SignedReadings,
    TariffChoice,
    TariffQuestion,
)
from csms.model.certificates import (
    CertificateStatusAnswer,
    ContractCheck,
    ContractQuestion,
    EvCertificateAnswer,
    GetCertificateStatus,
    GetEvCertificate,
    SignedCertificate,
    SigningRequest,
)
from csms.model.commands import CommandFailure, RetryPlan
from csms.model.explanation import StoryNotes, StoryQuestion
from csms.model.provisioning import BootDecision, BootNotification, Reset, ResetPlan
from csms.model.station import AdmitDecision, Handshake, StationRef
from csms.model.transactions import Transaction

if TYPE_CHECKING:
    from csms.registries import (
        ActionRegistry,
        ChannelRegistry,
        ConditionRegistry,
        EventRegistry,
        PresetRegistry,
        QuestionRegistry,
        WebRegistry,
    )

T = TypeVar("T")
Maybe: TypeAlias = Union[T, Awaitable[Union[T, None]], None]  # noqa: UP007 - a generic alias of None needs Union

hookspec = pluggy.HookspecMarker("csms")
hookimpl = pluggy.HookimplMarker("csms")

ANSWERS: Mapping[str, type] = {
    "admit_station": AdmitDecision,
    "decide_boot": BootDecision,
    "authorize": Authorization,
    "plan_reset": ResetPlan,
    "plan_status_check": StatusCheckPlan,
    "plan_retry": RetryPlan,
    "choose_tariff": TariffChoice,
    "price": Price,
    "verify_readings": ReadingVerdicts,
    "deliver_bill": BillDelivered,
    "explain_transaction": StoryNotes,
    "answer_call": Mapping,
    "sign_certificate": SignedCertificate,
    "check_contract": ContractCheck,
    "certificate_status": CertificateStatusAnswer,
    "ev_certificate": EvCertificateAnswer,
    "answer_question": Mapping,
}
"""What each decision is answered with; anything else is a fault of the plugin."""
DECISIONS = tuple(ANSWERS)
NEWS = ("on_event",)
REGISTRATIONS = (
    "register_actions",
    "register_channels",
    "register_conditions",
    "register_events",
    "register_questions",
    "register_presets",
    "register_web",
)


class CsmsHooks:
    """The hook page. Since 0.1 unless said otherwise."""

    @hookspec
    def admit_station(self, handshake: Handshake) -> Maybe[AdmitDecision]:
        """May this station open a WebSocket? Default: the station list and ``[stations] unknown``."""

    @hookspec
    def decide_boot(self, station: StationRef, boot: BootNotification) -> Maybe[BootDecision]:
        """Accept, hold or reject a booting station. Default: approved stations are Accepted, the others Pending."""

    @hookspec
    def authorize(self, request: AuthorizationRequest) -> Maybe[Authorization]:
        """May this token charge? Default: Unknown. Asked for Authorize, for tokens in transaction events and for remote starts."""

    @hookspec
    def plan_reset(self, station: StationRef, reset: Reset, active_transactions: int) -> Maybe[ResetPlan]:
        """When shall a reset happen that did not say so, and what if it does not? Default: OnIdle, reported after 15 minutes."""

    @hookspec
    def plan_status_check(self, silence: StatusSilence) -> Maybe[StatusCheckPlan]:
        """Ask a silent connector for its status, or raise a fault? Default: neither, look again in a minute."""

    @hookspec
    def plan_retry(self, failure: CommandFailure) -> Maybe[RetryPlan]:
        """Send a command again that failed? Default: no. Never asked for commands that must not be repeated blindly."""

    @hookspec
    def choose_tariff(self, question: TariffQuestion) -> Maybe[TariffChoice]:
        """Which tariff prices this transaction? Default: ``price`` is asked without a choice, and takes its own standard."""

    @hookspec
    def price(self, transaction: Transaction, consumption: Consumption, choice: TariffChoice | None) -> Maybe[Price]:
        """What does this transaction cost so far, with the tariff that was chosen? Default: no bill is written."""

    @hookspec
    def verify_readings(self, question: SignedReadings) -> Maybe[ReadingVerdicts]:
        """Are the signed meter values of a transaction genuine, and may it be billed? Default: they are kept, and nobody verifies them."""

    @hookspec
    def deliver_bill(self, delivery: BillDelivery) -> Maybe[BillDelivered]:
        """Hand an issued bill to a backend. Every plugin is asked, each on its own, again and again until it answers; one that raises or is late is
        asked later. None: this bill is none of its business."""

    @hookspec
    def explain_transaction(self, question: StoryQuestion) -> Maybe[StoryNotes]:
        """Tell what you did or decided about a transaction, for its explanation. Every plugin is asked. None: nothing."""

    @hookspec
    def answer_call(
        self, station: StationRef, action: str, payload: Mapping[str, object]
    ) -> Maybe[Mapping[str, object]]:
        """Take over any action of a station, in its own version's words. Default: the core answers."""

    @hookspec
    def answer_question(self, name: str, question: object) -> Maybe[Mapping[str, object]]:
        """Answer a plugin's own question, such as one that flow rules decide. Default: whatever the plugin that asks does without an answer."""

    @hookspec
    def sign_certificate(self, request: SigningRequest) -> Maybe[SignedCertificate]:
        """Sign a station's certificate request. Default: requests are rejected."""

    @hookspec
    def check_contract(self, contract: ContractQuestion) -> Maybe[ContractCheck]:
        """May a car's contract certificate be believed? Default: no, and the token is Invalid. Asked before ``authorize``."""

    @hookspec
    def certificate_status(self, station: StationRef, request: GetCertificateStatus) -> Maybe[CertificateStatusAnswer]:
        """Fetch an OCSP response for a station. Default: Failed."""

    @hookspec
    def ev_certificate(self, station: StationRef, request: GetEvCertificate) -> Maybe[EvCertificateAnswer]:
        """Fetch a contract certificate for a car (ISO 15118). Default: Failed."""

    @hookspec
    def on_event(self, event: object) -> Awaitable[None] | None:
        """News, after the answer is committed and sent: one of the past-tense dataclasses of ``csms.api``.

        A plugin that names the kinds it wants in a class attribute ``listens_to`` (a tuple of classes) is called for those alone.
        """

    @hookspec
    def register_actions(self, register: ActionRegistry) -> None:
        """Offer actions to flow rules: ``register(name, run, idempotent=...)``."""

    @hookspec
    def register_channels(self, register: ChannelRegistry) -> None:
        """Offer kinds of channels for notifications: ``register(kind, settings, open)``; ``[notify.<name>]`` tables name them."""

    @hookspec
    def register_conditions(self, register: ConditionRegistry) -> None:
        """Offer pure functions to the expressions of flow rules: ``register(name, function)``."""

    @hookspec
    def register_events(self, register: EventRegistry) -> None:
        """Let flow rules be bound to news of yours: ``register(name, kind)``."""

    @hookspec
    def register_questions(self, register: QuestionRegistry) -> None:
        """Let flow rules answer a question of yours: ``register(name, asked, answered)``."""

    @hookspec
    def register_presets(self, register: PresetRegistry) -> None:
        """Offer presets of flow rules: ``register(folder)``."""

    @hookspec
    def register_web(self, site: WebRegistry) -> None:
        """Add resources below ``/plugins/<name>/`` of the API port: ``site(path, resource)``; they need the API's token too."""
