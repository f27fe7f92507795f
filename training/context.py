# SPDX-License-Identifier: Apache-2.0
"""A context: which sentences can be said, and which tool call each one means.

The file format is the one users of Rhino contexts know (expressions and slots), plus
`calls:`, `values:` and `around:` of our own; see contexts/desktop.yaml.

    python context.py contexts/desktop.yaml        counts, words and a few samples
"""
import random
import re
import sys
from dataclasses import dataclass, field

import yaml

QUOTE = '<|"|>'


class ContextError(ValueError):
    """The context file says something that cannot be understood."""


@dataclass(frozen=True)
class Sentence:
    """One sentence, the intent it belongs to, and the slots that were filled."""
    text: str
    intent: str
    slots: tuple = ()          # ((slot name, slot type, spoken value), ...)


@dataclass
class Context:
    expressions: dict          # intent -> list of parsed expressions
    slots: dict                # slot type -> list of spoken values
    calls: dict = field(default_factory=dict)
    values: dict = field(default_factory=dict)
    before: tuple = ("sequence", ())
    after: tuple = ("sequence", ())
    not_for: tuple = ()
    source: str = ""


# ---- expressions: text -> tree -----------------------------------------------------

TOKEN = re.compile(r"[\[\](),]|\$[A-Za-z0-9_.]+:[A-Za-z0-9_]+|[^\s\[\](),$@]+|\S")


class _Parser:
    """Recursive descent over [choices], (optional parts), $type:name and words."""

    def __init__(self, text):
        self.text = text
        self.tokens = TOKEN.findall(text)
        self.at = 0

    def fail(self, why):
        raise ContextError(f"expression {self.text!r}: {why}")

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def whole(self):
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


def _slots(tree):
    """(type, name) of every slot in a tree."""
    if tree[0] == "slot":
        yield tree[1], tree[2]
    elif tree[0] != "word":
        for part in tree[1]:
            yield from _slots(part)


# ---- the whole file ----------------------------------------------------------------

class _Loader(yaml.SafeLoader):
    """YAML in which `on`, `off`, `yes` and `no` are words, as people say them."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def load(path):
    with open(path, encoding="utf-8") as file:
        return parse(file.read())


def parse(source):
    data = yaml.load(source, Loader=_Loader)
    if not isinstance(data, dict):
        raise ContextError("this is no context file: context: is missing")
    body = data.get("context") or {}
    if body.get("macros"):
        raise ContextError("macros are not supported; write the choices out")
    slots = {kind: [" ".join(str(v).lower().split()) for v in values]
             for kind, values in (body.get("slots") or {}).items()}
    expressions = {intent: [parse_expression(text) for text in texts]
                   for intent, texts in (body.get("expressions") or {}).items()}
    if not expressions:
        raise ContextError("context: expressions: is empty")
    for intent, trees in expressions.items():
        for kind in {kind for tree in trees for kind, _ in _slots(tree)}:
            if kind not in slots:
                raise ContextError(f"intent {intent}: slot type {kind!r} is not defined")
    for kind, values in slots.items():
        if not values or "" in values:
            raise ContextError(f"slot type {kind!r} has no values, or an empty one")
    around = data.get("around") or {}
    return Context(expressions, slots, data.get("calls") or {}, data.get("values") or {},
                   parse_expression(around.get("before", "")),
                   parse_expression(around.get("after", "")),
                   tuple(around.get("not_for", ())), source)


# ---- sentences ---------------------------------------------------------------------

def _expand(context, tree):
    """All (words, slots) that a tree can say. Use only on small contexts."""
    if tree[0] == "word":
        return [((tree[1],), ())]
    if tree[0] == "slot":
        return [((value,), ((tree[2], tree[1], value),)) for value in context.slots[tree[1]]]
    if tree[0] == "choice":
        return [said for part in tree[1] for said in _expand(context, part)]
    said = [((), ())]
    for part in tree[1]:
        said = [(w + w2, s + s2) for w, s in said for w2, s2 in _expand(context, part)]
    return said


def core_sentences(context):
    """Every sentence without what may stand around it, by intent."""
    found = {}
    for intent, trees in context.expressions.items():
        unique = {}
        for tree in trees:
            for words, slots in _expand(context, tree):
                unique.setdefault(" ".join(words), Sentence(" ".join(words), intent, slots))
        found[intent] = list(unique.values())
    return found


def all_sentences(context):
    """Every sentence that can be said, with and without what may stand around it. Of two
    readings of a sentence the one that is written first counts. Use only on small contexts."""
    found = {}
    for intent, trees in context.expressions.items():
        plain = intent in context.not_for
        before = [w for w, _ in _expand(context, context.before)] if not plain else [()]
        after = [w for w, _ in _expand(context, context.after)] if not plain else [()]
        for tree in trees:
            cores = _expand(context, tree)
            for said, slots in ((b + w + a, slots) for b in before for w, slots in cores
                                for a in after):
                text = " ".join(said)
                if text not in found:
                    found[text] = Sentence(text, intent, slots)
    return list(found.values())


def count(context):
    """How many readings all_sentences() would have to go through."""
    around = _count(context, context.before) * _count(context, context.after)
    return sum((1 if intent in context.not_for else around) * _count(context, tree)
               for intent, trees in context.expressions.items() for tree in trees)


def some_sentences(context, most=50_000, seed=0):
    """all_sentences() where they are not too many, else as many as that, drawn."""
    if count(context) <= most:
        return all_sentences(context)
    rng, sampler, found = random.Random(seed), Sampler(context), {}
    for _ in range(most):
        sentence = sampler.draw(rng)
        found.setdefault(sentence.text, sentence)
    return list(found.values())


def words(context):
    """Every word of the context, sorted."""
    found = set()
    trees = [t for ts in context.expressions.values() for t in ts]
    for tree in trees + [context.before, context.after]:
        found |= _tree_words(context, tree)
    return sorted(found)


def _tree_words(context, tree):
    if tree[0] == "word":
        return {tree[1]}
    if tree[0] == "slot":
        return {w for value in context.slots[tree[1]] for w in value.split()}
    return set().union(*(_tree_words(context, part) for part in tree[1]))


def _choose(context, tree, rng, slots):
    if tree[0] == "word":
        return [tree[1]]
    if tree[0] == "slot":
        value = rng.choice(context.slots[tree[1]])
        slots.append((tree[2], tree[1], value))
        return [value]
    if tree[0] == "choice":
        return _choose(context, rng.choice(tree[1]), rng, slots)
    return [word for part in tree[1] for word in _choose(context, part, rng, slots)]


class Sampler:
    """Draws sentences; an intent with many sentences comes more often, but only by the
    square root of their number, or the timers would drown everything else."""

    def __init__(self, context, before=0.4, after=0.12):
        self.context, self.before, self.after = context, before, after
        self.intents = list(context.expressions)
        self.weights = [self._size(i) ** 0.5 for i in self.intents]

    def _size(self, intent):
        return sum(_count(self.context, tree) for tree in self.context.expressions[intent])

    def draw(self, rng):
        intent = rng.choices(self.intents, self.weights)[0]
        trees = self.context.expressions[intent]
        tree = rng.choices(trees, [_count(self.context, t) ** 0.5 for t in trees])[0]
        slots = []
        parts = _choose(self.context, tree, rng, slots)
        if intent not in self.context.not_for:
            if rng.random() < self.before:
                parts = _spoken(self.context, self.context.before, rng) + parts
            if rng.random() < self.after:
                parts = parts + _spoken(self.context, self.context.after, rng)
        return Sentence(" ".join(parts), intent, tuple(slots))


def _spoken(context, tree, rng):
    """A drawing of an optional part that says something (if it ever can)."""
    said = [w for w, _ in _expand(context, tree) if w]
    return list(rng.choice(said)) if said else []


def _count(context, tree):
    if tree[0] == "word":
        return 1
    if tree[0] == "slot":
        return len(context.slots[tree[1]])
    counts = [_count(context, part) for part in tree[1]]
    if tree[0] == "choice":
        return sum(counts)
    product = 1
    for count in counts:
        product *= count
    return product


# ---- tool calls --------------------------------------------------------------------

def argument(value, kind):
    """One argument in the syntax of Gemma 4 tool calls."""
    if kind == "number":
        return str(value)
    return f"{QUOTE}{value}{QUOTE}"


def kinds(context, intent):
    """{argument: "number" or "string"} of an intent's tool; None for a plain Rhino context,
    in which every slot is a string argument."""
    return context.calls.get(intent)


def meaning(context, kind, value):
    """What a spoken slot value is in the call, as text."""
    return str(context.values.get(kind, {}).get(value, value))


def _slot_names(tree):
    """The sets of slots that a sentence of a tree can fill."""
    if tree[0] == "word":
        return {frozenset()}
    if tree[0] == "slot":
        return {frozenset([tree[2]])}
    if tree[0] == "choice":
        return set().union(*(_slot_names(part) for part in tree[1]))
    found = {frozenset()}
    for part in tree[1]:
        found = {a | b for a in found for b in _slot_names(part)}
    return found


def slot_names(context, intent):
    """The names of all arguments that sentences of an intent can give, sorted."""
    return sorted(set().union(*(names for tree in context.expressions[intent]
                                for names in _slot_names(tree) if _known(context, intent, names))))


def _known(context, intent, names):
    arguments = kinds(context, intent)
    return names if arguments is None else names & arguments.keys()


@dataclass(frozen=True)
class Gap:
    """The place of an argument's value in a call."""
    name: str


def call_parts(context, intent, names):
    """A call as texts with gaps between them: call:NAME{key:value,...}, keys sorted."""
    arguments = kinds(context, intent) or {}
    parts, before = [], f"call:{intent}{{"
    for name in sorted(_known(context, intent, frozenset(names)), key=lambda n: (n.lower(), n)):
        quote = "" if arguments.get(name) == "number" else QUOTE
        parts += [f"{before}{name}:{quote}", Gap(name)]
        before = f"{quote},"
    return [*parts, before.removesuffix(",") + "}"]


def call_shapes(context):
    """call_parts() of every call that sentences can mean."""
    for intent, trees in context.expressions.items():
        for names in sorted(set().union(*(_slot_names(tree) for tree in trees)), key=sorted):
            yield call_parts(context, intent, names)


def call_values(context):
    """Every value that a call can hold, as text."""
    used = {(intent, part) for intent, trees in context.expressions.items()
            for tree in trees for part in _slots(tree)}
    return {meaning(context, kind, value) for intent, (kind, name) in used
            if _known(context, intent, frozenset([name])) for value in context.slots[kind]}


def call(context, sentence):
    """The tool call of a sentence."""
    said = {name: meaning(context, kind, value) for name, kind, value in sentence.slots}
    return "".join(part if isinstance(part, str) else said[part.name]
                   for part in call_parts(context, sentence.intent, said))


def answer(context, sentence):
    """What the model is to answer: the transcript, the call and the stop token."""
    return (f"{sentence.text}<|tool_call>{call(context, sentence)}"
            "<tool_call|><|tool_response>")


def main():
    context = load(sys.argv[1])
    rng, sampler = random.Random(0), Sampler(context)
    print(f"{len(context.expressions)} intents, {count(context)} sentences,"
          f" {len(words(context))} words")
    for _ in range(12):
        print("  ", answer(context, sampler.draw(rng)))


if __name__ == "__main__":
    main()
