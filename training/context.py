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

from expressions import (UNSAYABLE, ContextError, can_be_silent, filled_twice, parse_expression,
                         slots_of)

QUOTE = '<|"|>'


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
    source: str = field(default="", compare=False)


# ---- the whole file ----------------------------------------------------------------

class _Loader(yaml.SafeLoader):
    """YAML in which `on`, `off`, `yes`, `no`, `010` and `7:30` are what is written, as people
    say them."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


def load(path):
    """The context in a file; ends the program with the reason if it is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return parse(file.read())
    except (ContextError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SystemExit(f"{path}: {error}") from None
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}") from None


def parse(source):
    data = _table(yaml.load(source, Loader=_Loader), "a context file", ("context", "around", "calls", "values"))
    body = _table(data.get("context"), "context", ("expressions", "slots", "macros"))
    around = _table(data.get("around"), "around", ("before", "after", "not_for"))
    if body.get("macros"):
        raise ContextError("macros are not supported; write the choices out")
    slots = {kind: [_value(text, kind) for text in _list(values, f"slots: {kind}")]
             for kind, values in _table(body.get("slots"), "slots").items()}
    expressions = {intent: [parse_expression(text) for text in _list(texts, f"expressions: {intent}")]
                   for intent, texts in _table(body.get("expressions"), "expressions").items()}
    if not expressions:
        raise ContextError("context: expressions: is empty")
    context = Context(expressions, slots, _calls(data), _values(data),
                      parse_expression(_text(around.get("before") or "", "around: before")),
                      parse_expression(_text(around.get("after") or "", "around: after")),
                      tuple(_list(around.get("not_for"), "around: not_for")), source)
    _check_expressions(context)
    _check_names(context)
    _check_numbers(context)
    return context


def _table(data, where, known=None):
    """A mapping, perhaps empty, without other keys than the known ones."""
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ContextError(f"{where}: 'name: ...' is expected here, not {data!r}")
    for key in data:
        if known and key not in known:
            raise ContextError(f"{where}: {key!r} is unknown; it can have {', '.join(known)}")
    return data


def _text(data, where):
    if not isinstance(data, str):
        raise ContextError(f"{where}: put {data!r} in quotes")
    return data


def _list(data, where):
    """Texts; a single one may stand for a list of one."""
    if data is None:
        return []
    return [_text(item, where) for item in (data if isinstance(data, list) else [data])]


def _plain(text):
    """Words as they are spoken."""
    return " ".join(text.lower().split())


def _value(text, kind):
    if not _plain(text):
        raise ContextError(f"slots: {kind}: a value is empty")
    if UNSAYABLE.search(text):
        raise ContextError(f"slots: {kind}: {text!r} can not be said")
    return _plain(text)


def _calls(data):
    calls = {intent: _table(arguments, f"calls: {intent}")
             for intent, arguments in _table(data.get("calls"), "calls").items()}
    for intent, arguments in calls.items():
        for name, kind in arguments.items():
            if kind not in ("number", "string"):
                raise ContextError(f"calls: {intent}: {name}: {kind!r} is neither number nor string")
    return calls


def _values(data):
    return {kind: {_plain(spoken): _text(means, f"values: {kind}: {spoken}")
                   for spoken, means in _table(meanings, f"values: {kind}").items()}
            for kind, meanings in _table(data.get("values"), "values").items()}


def _check_expressions(context):
    for kind, values in context.slots.items():
        if not values:
            raise ContextError(f"slots: {kind}: there is no value")
    for intent, trees in context.expressions.items():
        for tree in trees:
            for kind, _ in slots_of(tree):
                if kind not in context.slots:
                    raise ContextError(f"intent {intent}: slot type {kind!r} is not defined")
            if can_be_silent(tree):
                raise ContextError(f"intent {intent}: an expression can be said without a word")
            for name in filled_twice(tree):
                raise ContextError(f"intent {intent}: one sentence can fill {name!r} twice")
    for tree in (context.before, context.after):
        for _, name in slots_of(tree):
            raise ContextError(f"around: nobody would be told of {name!r}; write its values out")


def _check_names(context):
    """Whatever refers to something must find it."""
    for where, names, known in (
            ("calls", context.calls, context.expressions),
            ("around: not_for", context.not_for, context.expressions),
            ("values", context.values, context.slots),
            *((f"values: {kind}", meanings, context.slots.get(kind, ()))
              for kind, meanings in context.values.items())):
        for name in names:
            if name not in known:
                raise ContextError(f"{where}: {name!r} is not there to refer to")


def _check_numbers(context):
    for intent, trees in context.expressions.items():
        for kind, name in {slot for tree in trees for slot in slots_of(tree)}:
            if (kinds(context, intent) or {}).get(name) != "number":
                continue
            for value in context.slots[kind]:
                if not NUMBER.fullmatch(meaning(context, kind, value)):
                    raise ContextError(f"calls: {intent}: {name} is a number, but values: {kind}: "
                                       f"does not say which one {value!r} is")


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

    def draw(self, rng, is_bare=False):
        """is_bare: without what may, or must, stand around it."""
        intent = rng.choices(self.intents, self.weights)[0]
        trees = self.context.expressions[intent]
        tree = rng.choices(trees, [_count(self.context, t) ** 0.5 for t in trees])[0]
        slots = []
        parts = _choose(self.context, tree, rng, slots)
        if intent not in self.context.not_for and not is_bare:
            if self._adds(self.context.before, self.before, rng):
                parts = _spoken(self.context, self.context.before, rng) + parts
            if self._adds(self.context.after, self.after, rng):
                parts = parts + _spoken(self.context, self.context.after, rng)
        return Sentence(" ".join(parts), intent, tuple(slots))


    @staticmethod
    def _adds(tree, share, rng):
        return rng.random() < share or not can_be_silent(tree)


def phrases(context):
    """All that can stand before a command, as text."""
    return [" ".join(words) for words, _ in _expand(context, context.before) if words]


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
            for tree in trees for part in slots_of(tree)}
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
