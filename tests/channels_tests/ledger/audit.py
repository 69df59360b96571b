"""
What the books of a ledger do not agree on.

In: Books. Out: findings, each a list of what to look at; an empty one is good.
The first five are empty whatever happens.
"""

from collections import Counter, defaultdict

ALWAYS_NONE = ("duplicates", "phantoms", "misrouted", "corrupted", "reordered")


class Audit:
    """The findings of one run, and what was lost."""

    def __init__(self, books):
        self._books = books
        self._receipts = defaultdict(list)
        for receipt in books.receipts:
            self._receipts[receipt.identity].append(receipt)
        self._memberships = defaultdict(list)
        for membership in books.memberships:
            self._memberships[membership.group].append(membership)

    def findings(self):
        """Return {name: list} of what must never be, without what is empty."""
        found = {name: getattr(self, name)() for name in ALWAYS_NONE}
        return {name: items[:5] for name, items in found.items() if items}

    def duplicates(self):
        """Messages that one reader, or one member, received twice."""
        counts = Counter()
        for receipt in self._books.receipts:
            intent = self._books.intents.get(receipt.identity)
            group = intent is not None and intent.kind == "group"
            counts[receipt.identity, receipt.channel if group else None] += 1
        return [key for key, count in counts.items() if count > 1]

    def phantoms(self):
        """Messages that nobody meant to send, or whose send was refused."""
        intents = self._books.intents
        return [
            receipt
            for receipt in self._books.receipts
            if receipt.identity not in intents
            or intents[receipt.identity].outcome == "refused"
        ]

    def misrouted(self):
        """Messages on a channel to which they were not sent."""
        found = []
        for identity, receipts in self._receipts.items():
            intent = self._books.intents.get(identity)
            if intent is None:
                continue
            for receipt in receipts:
                if intent.kind == "channel":
                    right = receipt.channel == intent.target
                else:
                    right = self._may_reach(intent, receipt.channel)
                if not right:
                    found.append((intent, receipt))
        return found

    def corrupted(self):
        """Messages that are not as they were sent."""
        return [receipt for receipt in self._books.receipts if not receipt.whole]

    def reordered(self):
        """Messages of one sender that came after a later one, where order holds."""
        last, found = {}, []
        for receipt in sorted(self._books.receipts, key=lambda one: one.time):
            intent = self._books.intents.get(receipt.identity)
            if intent is None or not {"?", "!"} & set(receipt.channel):
                continue
            key = (intent.sender, receipt.channel)
            if intent.number < last.get(key, -1):
                found.append((last[key], receipt))
            last[key] = intent.number
        return found

    def lost(self):
        """
        Return (intent, channel) of what was sent and not received.

        For groups, one for each member that was there from before the send until
        after it.
        """
        found = []
        for identity, intent in self._books.intents.items():
            if intent.outcome != "sent":
                continue
            reached = {receipt.channel for receipt in self._receipts[identity]}
            if intent.kind == "channel":
                due = {intent.target} - (reached and {intent.target})
            else:
                due = self._members(intent, self._must_reach) - reached
            found += [(intent, channel) for channel in sorted(due)]
        return found

    def unclear(self):
        """Return how many members may have missed a group message, or not."""
        return sum(
            len(
                self._members(intent, self._can_reach)
                - self._members(intent, self._must_reach)
            )
            for intent in self._books.intents.values()
            if intent.kind == "group"
        )

    def _members(self, intent, matches):
        memberships = self._memberships[intent.target]
        return {one.channel for one in memberships if matches(intent, one)}

    def _must_reach(self, intent, membership):
        stays = intent.ended < membership.leaving
        return membership.joined < intent.begun and stays

    def _can_reach(self, intent, membership):
        ended = intent.ended if intent.outcome == "sent" else float("inf")
        return membership.joining < ended and intent.begun < membership.left

    def _may_reach(self, intent, channel):
        return channel in self._members(intent, self._can_reach)
