"""
The books of a ledger: what was meant, what came, and what does not agree.

In: the events of all journals, by conductor.py. Out: for a test, what must be
nothing whatever happens, and what is lost.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Optional

ENDLESS = float("inf")


@dataclass
class Intent:
    """A message that somebody means to send."""

    kind: str
    target: str
    sender: str
    number: int
    begun: int
    outcome: Optional[str] = None
    ended: float = ENDLESS


@dataclass
class Receipt:
    """A message that somebody received."""

    identity: str
    channel: str
    reader: str
    time: int
    whole: bool


@dataclass
class Membership:
    """Once that a channel was in a group, from a call until another."""

    group: str
    channel: str
    role: str
    joining: int
    joined: float = ENDLESS
    leaving: float = ENDLESS
    left: float = ENDLESS


@dataclass
class Played:
    """A role, the program that plays it and its options."""

    program: str
    kind: str
    options: dict
    begun: dict = field(default_factory=dict)
    looked: dict = field(default_factory=dict)


class Books:
    """All that is known of one run. The names of findings are those of the issue."""

    def __init__(self):
        self.intents = {}
        self.receipts = []
        self.memberships = []
        self.ready, self.owners, self.ended, self.closed = set(), set(), set(), set()
        self.killed, self.paused, self.gaps = {}, defaultdict(list), []
        # Of the layer, each time that somebody asked; of queues, the last time.
        self.statistics, self.details = {}, {}
        self.errors, self.failures = Counter(), []
        # How often a member was told that messages may be lost.
        self.told = Counter()
        # Times when something of the store was broken, and how many calls were cut.
        self.broken, self.cuts = [], 0
        self._roles = {}
        self._open = {}
        self._inboxes = {}

    # What the conductor does.

    def begins(self, name, program, kind, options):
        self._roles[name] = Played(program, kind, options)

    def kills(self, program, time):
        self.killed[program] = time

    def pauses(self, program, time):
        self.paused[program].append([time, ENDLESS])

    def resumes(self, program, time):
        self.paused[program][-1][1] = time

    # What journals say.

    def enter(self, name, event, time, *details):
        """Enter one event from the journal of a role or a program."""
        method = getattr(self, f"_{event.replace(' ', '_')}")
        method(name, time, *details)

    def _ready(self, name, time, pid):
        self.ready.add(name)

    def _gap(self, name, time):
        self.gaps.append((name, time))

    def _statistics(self, name, time, number, statistics, details):
        self.statistics[number] = statistics
        self.details = details

    def _closed(self, name, time, threads):
        self.closed.add(name)

    def _failed(self, name, time, error):
        self.failures.append(f"{name}: {error}")

    def _unavailable(self, name, time, call, error):
        self.errors[call, error] += 1

    def _intent(self, name, time, identity, kind, target, sender, number):
        self.intents[identity] = Intent(kind, target, sender, number, time)

    def _sent(self, name, time, identity):
        self._conclude(identity, "sent", time)

    def _refused(self, name, time, identity):
        self._conclude(identity, "refused", time)

    def _unknown(self, name, time, identity, error):
        self.errors["send", error] += 1
        self._conclude(identity, "unknown", time)

    def _conclude(self, identity, outcome, time):
        intent = self.intents[identity]
        intent.outcome, intent.ended = outcome, time

    def _received(self, name, time, identity, channel, reader, whole):
        self.receipts.append(Receipt(identity, channel, reader, time, whole))

    def _told(self, name, time, channel):
        self.told[channel] += 1

    def _reads(self, name, time, caller, channels):
        self._roles[name].looked[caller] = 0

    def _waits(self, name, time, caller):
        self._roles[name].begun[caller] = time

    def _nothing(self, name, time, caller):
        played = self._roles[name]
        played.looked[caller] = played.begun[caller]

    def _stopped(self, name, time, caller):
        self._roles[name].looked.pop(caller, None)

    def _done(self, name, time, caller):
        pass

    def _ended(self, name, time):
        self.ended.add(name)

    def _owns(self, name, time, inbox, channels):
        self.owners.add(name)
        self._inboxes[name] = set(channels)

    def _joining(self, name, time, group, channel):
        membership = Membership(group, channel, name, time)
        self._open[group, channel] = membership
        self.memberships.append(membership)

    def _joined(self, name, time, group, channel):
        self._open[group, channel].joined = time

    def _leaving(self, name, time, group, channel):
        self._open[group, channel].leaving = time

    def _left(self, name, time, group, channel):
        self._open.pop((group, channel)).left = time

    # What the conductor asks.

    def check(self):
        """Raise AssertionError if a role ended by what is not a LayerUnavailable."""
        if self.failures:
            failures = "\n".join(self.failures[:3])
            raise AssertionError(f"{len(self.failures)} roles failed:\n{failures}")

    def count_received(self):
        return len(self.receipts)

    def program_of(self, name):
        return self._roles[name].program

    def roles_of(self, program):
        return [name for name, one in self._roles.items() if one.program == program]

    def channels_of(self, name):
        """Return the steady members of a role."""
        return self._inboxes[name]

    def queues(self):
        """Return all channels and inboxes that somebody receives from."""
        queues = set(self._inboxes)
        for one in self._roles.values():
            if one.kind == "reader":
                queues.update(one.options["channels"])
        return sorted(f"{n}!" if n in self._inboxes else n for n in queues)

    def gone(self):
        """Return the roles whose program was killed."""
        return {n for n, one in self._roles.items() if one.program in self.killed}

    def living(self, *kinds):
        """Return the roles of these kinds that have not ended."""
        names = (n for n, one in self._roles.items() if one.kind in kinds)
        return [n for n in names if n not in self.ended | self.gone()]

    def endless(self):
        """Return the writers that go on until they are told to stop."""
        names = self.living("writer")
        return [n for n in names if self._roles[n].options.get("count") is None]

    def joining(self):
        """Return the memberships that somebody is about to make, but flapping."""
        gone = self.gone()
        return [
            one
            for one in self._open.values()
            if one.joined == ENDLESS
            and one.role not in gone
            and one.channel in self._inboxes.get(one.role, ())
        ]

    def looked_after(self, time):
        """Return the roles all of whose readers found nothing after a time."""
        return {
            name
            for name, one in self._roles.items()
            if one.looked and all(looked > time for looked in one.looked.values())
        }

    def heard(self, role, since):
        """Return the first receipt of a group message that was begun after a time."""
        for receipt in self.receipts:
            if receipt.reader.rpartition(".")[0] == role:
                intent = self.intents.get(receipt.identity)
                if intent and intent.kind == "group" and intent.begun > since:
                    return receipt
        return None

    def has_sent(self, since):
        """Return whether a message was sent, and begun after a time."""
        intents = self.intents.values()
        return any(one.outcome == "sent" and one.begun > since for one in intents)

    def gap_times(self, program):
        """Return when a program told that messages may be lost."""
        return [time for name, time in self.gaps if name == program]

    def healing_seconds(self, *roles):
        """Return how long after the last fault all roles had group messages again."""
        end = self.broken[-1][1]
        return max(self.heard(role, end).time - end for role in roles) / 1e9

    def longest_pause(self):
        """Return for how many seconds a program stood still at the most."""
        pauses = [pause for one in self.paused.values() for pause in one]
        return max((end - begin for begin, end in pauses), default=0) / 1e9

    def limits(self):
        """Return how many messages each reader asks for at a time."""
        readers = [one for one in self._roles.values() if one.kind != "writer"]
        return [one.options.get("limit", 10) for one in readers]

    def in_hand(self, name):
        """Return {channel: how many messages the readers of a role may have taken}."""
        one = self._roles[name]
        if one.kind != "reader":
            return {}
        taken = one.options.get("limit", 1) * one.options.get("callers", 1)
        return dict.fromkeys(one.options["channels"], taken)

    def outcomes(self):
        """Return how many messages had which outcome."""
        return Counter(intent.outcome for intent in self.intents.values())

    def summary(self):
        """Return in one line what there is."""
        outcomes = ", ".join(f"{n} {name}" for name, n in self.outcomes().items())
        pause = f"; paused for {self.longest_pause():.1f} s" if self.paused else ""
        errors = f"; errors: {self.errors.most_common(3)}" if self.errors else ""
        return (
            f"({outcomes}; {len(self.receipts)} received; "
            f"{len(self.gaps)} gaps, {sum(self.told.values())} told{pause}{errors})"
        )
