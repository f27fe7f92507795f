# SPDX-License-Identifier: Apache-2.0
"""An expression of a context, from text to a tree: ("word", text), ("slot", type, name),
("sequence", parts) or ("choice", parts)."""
import re


class ContextError(ValueError):
    """The context file says something that cannot be understood."""


_TOKEN = re.compile(r"[\[\](),]|\$[A-Za-z0-9_.]+:[A-Za-z0-9_]+|[^\s\[\](),$@]+|\S")
_GLUED = re.compile(r"[^\s\[\](),]\$\S+|\$[A-Za-z0-9_.]+:[A-Za-z0-9_]+\b[^\s\[\](),]+")
UNSAYABLE = re.compile(r"[][(){},?!;:\"$@<>]")


class _Parser:
    """Recursive descent over [choices], (optional parts), $type:name and words."""

    def __init__(self, text):
        self.text = text
        self.tokens = _TOKEN.findall(text)
        self.at = 0

    def fail(self, why):
        raise ContextError(f"expression {self.text!r}: {why}")

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def whole(self):
        glued = _GLUED.search(self.text)
        if glued:
            self.fail(f"{glued[0]!r}: a slot is a word of its own")
        tree = self.sequence(())
        if self.peek() is not None:
            self.fail(f"{self.peek()!r} has no opening partner")
        return tree

    def sequence(self, ends):
        parts = []
        while self.peek() is not None and self.peek() not in ends:
            parts.append(self.part())
        return ("sequence", tuple(parts))

    def part(self):
        token = self.take()
        if token == "[":
            return ("choice", self.choices("]"))
        if token == "(":
            return ("choice", self.choices(")") + (("sequence", ()),))
        if token.startswith("$") and ":" in token:
            return self.slot(token)
        if token.startswith("@"):
            self.fail("macros (@name) are not supported; write the choices out")
        if token in "]),$":
            self.fail(f"{token!r} is not expected here")
        if UNSAYABLE.search(token):
            self.fail(f"{token!r} can not be said")
        return ("word", token.lower())

    def choices(self, end):
        found = [self.sequence((",", end))]
        while self.peek() == ",":
            self.take()
            found.append(self.sequence((",", end)))
        if self.peek() != end:
            self.fail(f"{end!r} is missing")
        self.take()
        return tuple(found)

    def slot(self, token):
        kind, name = token[1:].split(":")
        if kind.startswith("pv.") or kind.startswith("builtin"):
            self.fail(f"built-in slot {kind!r} is not supported; list its values under slots:")
        return ("slot", kind, name)


def parse_expression(text):
    return _Parser(text).whole()


def slots_of(tree):
    """(type, name) of every slot in a tree."""
    if tree[0] == "slot":
        yield tree[1], tree[2]
    elif tree[0] != "word":
        for part in tree[1]:
            yield from slots_of(part)


def can_be_silent(tree):
    if tree[0] == "choice":
        return any(can_be_silent(part) for part in tree[1])
    return tree[0] == "sequence" and all(can_be_silent(part) for part in tree[1])


def filled_twice(tree):
    """The names that one sentence can fill twice."""
    if tree[0] in ("word", "slot"):
        return set()
    found = set().union(*(filled_twice(part) for part in tree[1]))
    seen = set()
    for part in tree[1] if tree[0] == "sequence" else ():
        names = {name for _, name in slots_of(part)}
        found |= names & seen
        seen |= names
    return found
