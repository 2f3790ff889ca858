"""Flow rules: a site's TOML rules bound to events and questions, read again when a file changes; the language is in docs/rules.md.

A set of rules is taken over whole or not at all: one mistake anywhere leaves the old set at work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, TypeVar

from csms_plugins.flow.asking import answers
from csms_plugins.flow.chain import (
    authorization,
    boot_decision,
    missing_plan,
    reset_plan,
    status_plan,
    tariff_choice,
)
from csms_plugins.flow.engine import Engine
from csms_plugins.flow.explaining import transaction_notes
from csms_plugins.flow.files import Document, stamp
from csms_plugins.flow.loader import RuleSet, load, rule_files, rule_of
from csms_plugins.flow.news import BootAsked, ResetAsked
from csms_plugins.flow.reporting import rule_report
from csms_plugins.flow.rule import Rule
from csms_plugins.flow.web import RulesResource
from twisted.internet.defer import DeferredLock
from twisted.internet.task import LoopingCall

from csms.api import (
    Authorization,
    AuthorizationRequest,
    BootDecision,
    BootNotification,
    Csms,
    Duration,
    Reset,
    ResetPlan,
    SiteFileError,
    StationRef,
    StatusCheckPlan,
    StatusSilence,
    StoryNotes,
    StoryQuestion,
    TariffChoice,
    TariffQuestion,
    WebRegistry,
    hookimpl,
)

T = TypeVar("T")
WRITE_EVERY_S = 10.0


class FlowRules:
    """Reads the rules, gives events to the engine and answers questions with what rules decide."""

    @dataclass(frozen=True)
    class Settings:
        """``files`` are patterns relative to the site file; ``presets`` are used with their defaults; ``reload_every`` 0s never looks again."""

        files: tuple[str, ...] = ("rules/*.toml",)
        presets: tuple[str, ...] = ()
        enabled: bool = True
        reload_every: Duration = timedelta(seconds=5)

        def __post_init__(self) -> None:
            """Raises ValueError in plain words."""
            for pattern in self.files:
                if not pattern or pattern.startswith(("/", "\\")):
                    raise ValueError(f"files are patterns relative to the site file, not {pattern!r}")
            if timedelta(0) != self.reload_every < timedelta(seconds=1):
                raise ValueError("reload_every is at least 1s, or 0s for never")

    def __init__(self, settings: Settings, csms: Csms) -> None:
        self.settings = settings
        self.csms = csms
        self.engine = Engine(csms)
        self.set = RuleSet()
        self.mistakes: RuleSet = RuleSet()
        """The newer files that are not at work, because of the mistakes in them."""
        self.listens_to: tuple[type, ...] = ()
        self.more: tuple[Document, ...] = ()
        """Rules that lie in no file of the site: those of a test."""
        self._stamp: object = None
        self._switching = DeferredLock()
        self._looking = LoopingCall(self.look)
        self._writing = LoopingCall(self._write)
        for timer in (self._looking, self._writing):
            timer.clock = csms.clock

    def prepare(self) -> None:
        """All plugins have said what they offer: read the rules, or raise SiteFileError with every mistake in them."""
        self._take_over(self.settings, self.read(self.settings))
        self.listens_to = self.engine.kinds()

    def prepare_reload(self, settings: Settings) -> Callable[[], list[str]]:
        """Read the rules anew with other settings: SiteFileError, or what takes them over at once."""
        found = self.read(settings)
        if found.mistakes:
            self.mistakes = found
            raise SiteFileError(found.mistakes)

        def take_over() -> list[str]:
            engine, rules, was = self.engine, self.engine.rules, self.settings
            if settings.enabled is not was.enabled:
                self.engine = Engine(self.csms)
                self.csms.later(0, self.start if settings.enabled else lambda: self._end(engine))
            self._take_over(settings, found)
            self.csms.listen(self.engine.kinds())
            if settings.reload_every != was.reload_every and self._writing.running:
                self._look_again()
            return _differences(rules, self.engine.rules)

        return take_over

    def read(self, settings: Settings) -> RuleSet:
        """The rules as they lie on the disk now."""
        if not settings.enabled:
            return RuleSet()
        self._stamp = self._stamped(settings)
        scopes = self.engine.scopes
        return load(
            self.csms, scopes, rule_files(self.csms.folder, settings.files, scopes), settings.presets, self.more
        )

    def use_more(self, documents: Sequence[Document]) -> None:
        """Take over these rules beside those of the files; SiteFileError with every mistake."""
        self.more = tuple(documents)
        self.prepare_reload(self.settings)()

    def _stamped(self, settings: Settings) -> object:
        return stamp([path for path, _ in rule_files(self.csms.folder, settings.files, self.engine.scopes)])

    def _take_over(self, settings: Settings, found: RuleSet) -> None:
        if found.mistakes:
            self.mistakes = found
            raise SiteFileError(found.mistakes)
        self.settings, self.set, self.mistakes = settings, found, RuleSet()
        self.engine.use(found.rules, found.vocabulary)

    async def start(self) -> None:
        """Go on with what was begun before, and begin to look at the files."""
        if not self.settings.enabled:
            self.csms.log.warn("flow rules are off: no rule is at work, and nothing that was begun goes on")
            return
        async with self._switching:
            await self.engine.start(lambda kept: rule_of(kept, self.set.words))
        self.csms.listen(self.engine.kinds())
        self._writing.start(WRITE_EVERY_S, now=False).addErrback(self._ended)
        self._look_again()

    def _look_again(self) -> None:
        """Look at the files from now on as often as the settings say."""
        if self._looking.running:
            self._looking.stop()
        every_s = self.settings.reload_every.total_seconds()
        if every_s:
            self._looking.start(every_s, now=False).addErrback(self._ended)

    def _ended(self, failure: Any) -> None:
        self.csms.log.failure("rule files are no longer looked at, or traces no longer written", failure=failure)

    async def stop(self) -> None:
        """Look no more; what waits goes on after the next start."""
        await self._end(self.engine)

    async def _end(self, engine: Engine) -> None:
        for timer in (self._looking, self._writing):
            if timer.running:
                timer.stop()
        async with self._switching:
            await engine.stop()

    async def _write(self) -> None:
        self.engine.traces.prune(self.csms.now().timestamp())
        self.engine.traces.write()
        await self.engine.journal.commit()

    def look(self) -> None:
        """Take over changed files, all or none."""
        if self._stamped(self.settings) == self._stamp:
            return
        try:
            self.prepare_reload(self.settings)()
        except SiteFileError as wrong:
            self.csms.log.error("the rules stay as they were: {mistakes}", mistakes=str(wrong))
            return
        self.csms.log.info("{count} rules are at work", count=len(self.engine.rules))

    # News and questions

    @hookimpl
    def on_event(self, event: object) -> None:
        """Rules run after this has returned, and never hold anybody up."""
        self.engine.news(event)

    @hookimpl
    def plan_reset(
        self, station: StationRef, reset: Reset, active_transactions: int
    ) -> Awaitable[ResetPlan | None] | None:
        """What the rules on ``reset.choose`` decide."""
        question = ResetAsked(station, reset, active_transactions)
        return self._first("reset.choose", question, reset_plan)

    @hookimpl
    def authorize(self, request: AuthorizationRequest) -> Awaitable[Authorization | None] | None:
        """What the rules on ``authorize`` decide."""
        return self._authorize(request) if self.engine.bound("authorize") else None

    async def _authorize(self, request: AuthorizationRequest) -> Authorization | None:
        async for rule, answer in answers(self.engine, "authorize", request):
            try:
                found = await authorization(self.csms, answer, request, rule.id)
            except (ValueError, TypeError) as wrong:
                self._passed_over(rule.id, wrong)
                continue
            if found is not None:
                return found
        return None

    @hookimpl
    def decide_boot(self, station: StationRef, boot: BootNotification) -> Awaitable[BootDecision | None] | None:
        """What the rules on ``boot`` decide."""
        return self._first("boot", BootAsked(station, boot), lambda answer, rule: boot_decision(answer))

    @hookimpl
    def choose_tariff(self, question: TariffQuestion) -> Awaitable[TariffChoice | None] | None:
        """What the rules on ``price.choose`` decide."""
        return self._first("price.choose", question, tariff_choice)

    @hookimpl
    def plan_status_check(self, silence: StatusSilence) -> Awaitable[StatusCheckPlan | None] | StatusCheckPlan | None:
        """What the rules on ``status.retry`` decide, or when the rules on ``status.missing`` want to know."""
        if self.engine.bound("status.retry"):
            return self._first("status.retry", silence, lambda answer, rule: status_plan(answer, silence, rule))
        on = [one for rule in self.engine.rules_on("status.missing") for one in rule.on if one.after_s]
        return missing_plan(min(one.after_s for one in on), silence) if on else None

    @hookimpl
    def answer_question(self, name: str, question: object) -> Awaitable[Mapping[str, object] | None] | None:
        """What the rules on a plugin's own question decide."""
        return self._first(name, question, lambda answer, rule: answer)

    def _first(
        self, name: str, question: Any, make: Callable[[Mapping[str, Any], str], T]
    ) -> Awaitable[T | None] | None:
        return self._decided(name, question, make) if self.engine.bound(name) else None

    async def _decided(self, name: str, question: Any, make: Callable[[Mapping[str, Any], str], T]) -> T | None:
        async for rule, answer in answers(self.engine, name, question):
            try:
                return make(answer, rule.id)
            except (ValueError, TypeError) as wrong:
                self._passed_over(rule.id, wrong)
        return None

    def _passed_over(self, rule: str, wrong: Exception) -> None:
        self.csms.log.error("what rule {rule} decides is passed over: {why}", rule=rule, why=str(wrong))

    # What is shown

    @hookimpl
    def explain_transaction(self, question: StoryQuestion) -> StoryNotes:
        """What the rules did about a transaction, and why not."""
        return transaction_notes(self, question)

    @hookimpl
    def register_web(self, site: WebRegistry) -> None:
        """``/plugins/flow_rules/rules``: every rule with its state and traces, and what can be done with them."""
        site("rules", RulesResource(self))

    def report(self) -> dict[str, Any]:
        """The rules at work, and the mistakes that keep newer files from being."""
        return {
            "enabled": self.settings.enabled,
            "rules": [rule_report(self.engine, name) for name in self.engine.rules],
            "mistakes": [asdict(mistake) for mistake in self.mistakes.mistakes],
        }


def _differences(before: Mapping[str, Rule], after: Mapping[str, Rule]) -> list[str]:
    """A line for each rule that came, went or has another text."""
    came = [f"rule {name}: new" for name in after if name not in before]
    went = [f"rule {name}: taken out" for name in before if name not in after]
    both = [name for name in after if name in before and after[name].digest != before[name].digest]
    return [*came, *(f"rule {name}: changed" for name in both), *went]
