# SPDX-License-Identifier: Apache-2.0
"""An expression of a context, from text to a tree: ("word", text), ("slot", type, name),
("set", name, value), which gives an argument and says nothing, ("sequence", parts) or
("choice", parts). A macro, @name, is a choice that is written once."""
import re


class ContextError(ValueError):
    """The context file says something that cannot be understood."""


_SLOT = r"\$[A-Za-z0-9_.]+:[A-Za-z0-9_]+|\$[A-Za-z0-9_]+=[A-Za-z0-9_]+"
_TOKEN = re.compile(rf"[\[\](),]|{_SLOT}|@[A-Za-z0-9_]+|[^\s\[\](),$@]+|\S")
_GLUED = re.compile(rf"[^\s\[\](),]\$\S+|(?:{_SLOT})\b[^\s\[\](),]+")
UNSAYABLE = re.compile(r"[][(){},?!;:\"$@<>]")


class _Parser:
    """Recursive descent over [choices], (optional parts), $type:name and words."""

    def __init__(self, text, macros):
        self.text, self.macros = text, macros
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
        if token.startswith("$") and "=" in token:
            return ("set", *token[1:].split("="))
        if token.startswith("@"):
            return self.macro(token[1:])
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

    def macro(self, name):
        if name not in self.macros:
            self.fail(f"there is no macro {name!r} that is written before this")
        return self.macros[name]

    def slot(self, token):
        kind, name = token[1:].split(":")
        if kind.startswith("pv.") or kind.startswith("builtin"):
            self.fail(f"built-in slot {kind!r} is not supported; list its values under slots:")
        return ("slot", kind, name)


def parse_expression(text, macros=None):
    """macros: {name: tree} of those that it may refer to."""
    return _Parser(text, macros or {}).whole()


def slots_of(tree):
    """(type, name) of every slot in a tree; the type of a set argument is None."""
    if tree[0] == "slot":
        yield tree[1], tree[2]
    elif tree[0] == "set":
        yield None, tree[1]
    elif tree[0] != "word":
        for part in tree[1]:
            yield from slots_of(part)


def settings_of(tree):
    """(name, value) of every argument that is set in a tree."""
    if tree[0] == "set":
        yield tree[1], tree[2]
    elif tree[0] not in ("word", "slot"):
        for part in tree[1]:
            yield from settings_of(part)


def can_be_silent(tree):
    if tree[0] == "choice":
        return any(can_be_silent(part) for part in tree[1])
    return tree[0] == "set" or (tree[0] == "sequence" and
                                all(can_be_silent(part) for part in tree[1]))


def _ways(tree):
    """The sets of names that a sentence of a tree can fill; those of two parts that are both
    said and both fill a name are noted in the second set."""
    if tree[0] == "word":
        return {frozenset()}, set()
    if tree[0] in ("slot", "set"):
        return {frozenset([tree[2] if tree[0] == "slot" else tree[1]])}, set()
    found = [_ways(part) for part in tree[1]]
    twice = set().union(*(names for _, names in found))
    if tree[0] == "choice":
        return set().union(*(ways for ways, _ in found)), twice
    ways = {frozenset()}
    for more, _ in found:
        twice |= {name for a in ways for b in more for name in a & b}
        ways = {a | b for a in ways for b in more}
    return ways, twice


def names_filled(tree):
    """The sets of names, each of which some sentence of a tree fills."""
    return _ways(tree)[0]


def filled_twice(tree):
    """The names that one sentence can fill twice."""
    return _ways(tree)[1]
