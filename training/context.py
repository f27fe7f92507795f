# SPDX-License-Identifier: Apache-2.0
"""A context: which sentences can be said, and which tool call each one means.

The file format is the one users of Rhino contexts know (expressions and slots), plus
`calls:`, `values:` and `around:` of our own; see contexts/desktop.yaml.

    python context.py contexts/desktop.yaml             counts, words and a few samples
    python context.py contexts/desktop.yaml --say 40    sentences to read aloud: gemmactl record
"""
import ast
import operator
import random
import re
import sys
from collections import Counter
from dataclasses import dataclass, field, replace

import yaml

from expressions import (UNSAYABLE, ContextError, can_be_silent, filled_twice, names_filled,
                         parse_expression, settings_of, slots_of)
from numerals import in_words

QUOTE = '<|"|>'


@dataclass(frozen=True)
class Sentence:
    """One sentence, the intent it belongs to, and the slots that were filled."""
    text: str
    intent: str
    slots: tuple = ()          # ((slot name, slot type, spoken value), ...)
    then: tuple = ()           # what stands between, and the Sentence of another command after it


@dataclass(frozen=True)
class Meaning:
    """What a typed request can mean that no sentence is. says: sentences of the context, of which the first
    that holds all that was typed counts (a `*` is any of its words); or =REPLY, !CALL, ?SENTENCE (a hint), or
    +CALL ARGUMENT|INSTEAD OF|BUT, or +CALL KEY=VALUE ARGUMENT|...: a call that takes what was typed along.  Of the words
    of BUT that have a + one has to be there."""
    says: str
    calls: tuple = ()          # of this context: "media next", a call and values that it must have
    like: tuple = ()           # parsed expressions
    requests: tuple = ()       # intents of recorded requests
    least: int = 85            # percent: how likely it must be


@dataclass
class Context:
    expressions: dict          # intent -> list of parsed expressions
    slots: dict                # slot type -> list of spoken values
    calls: dict = field(default_factory=dict)
    values: dict = field(default_factory=dict)
    before: tuple = ("sequence", ())
    after: tuple = ("sequence", ())
    not_for: tuple = ()
    between: tuple = ("sequence", ())
    denied: tuple = ("sequence", ())
    typed: dict = field(default_factory=dict, compare=False)   # what is typed -> what is said for it
    open: tuple = field(default=(), compare=False)             # slot types that any words can stand for
    meanings: tuple = field(default=(), compare=False)         # of typed requests that are no sentence
    meaningless: tuple = field(default=(), compare=False)      # expressions of requests that mean nothing here
    examples: dict = field(default_factory=dict, compare=False)  # intent -> sentences worth showing
    source: str = field(default="", compare=False)


# ---- the whole file ----------------------------------------------------------------

class _Loader(yaml.SafeLoader):
    """YAML in which `on`, `off`, `yes`, `no`, `010` and `7:30` are what is written, as people
    say them."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}

MOST_TYPED = 63            # letters of what is typed and of what is said for it, as the daemon reads them
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
    data = _table(yaml.load(source, Loader=_Loader), "a context file", ("context", "around", "calls", "values", "typed", "examples"))
    body = _table(data.get("context"), "context", ("expressions", "slots", "macros"))
    around = _table(data.get("around"), "around", ("before", "after", "between", "denied", "not_for"))
    macros = _macros(body)
    slots, values = _slots(body, _values(data))
    expressions = {intent: [parse_expression(text, macros)
                            for text in _list(texts, f"expressions: {intent}")]
                   for intent, texts in _table(body.get("expressions"), "expressions").items()}
    if not expressions:
        raise ContextError("context: expressions: is empty")
    context = Context(expressions, slots, _calls(data), values,
                      parse_expression(_text(around.get("before") or "", "around: before"), macros),
                      parse_expression(_text(around.get("after") or "", "around: after"), macros),
                      tuple(_list(around.get("not_for"), "around: not_for")),
                      parse_expression(_text(around.get("between") or "", "around: between"), macros),
                      parse_expression(_text(around.get("denied") or "", "around: denied"), macros),
                      *_typed(data), _meanings(data, macros), _meaningless(data, macros), _examples(data),
                      source)
    _check_expressions(context)
    _check_names(context)
    _check_numbers(context)
    _check_typed(context)
    for intent in context.examples:
        if intent not in context.expressions:
            raise ContextError(f"examples: {intent!r} is not there to refer to")
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


def _macros(body):
    """{name: tree}; one may use those that are written before it."""
    macros = {}
    for name, texts in _table(body.get("macros"), "macros").items():
        choices = _list(texts, f"macros: {name}")
        if not choices:
            raise ContextError(f"macros: {name}: there is no choice")
        macros[name] = ("choice", tuple(parse_expression(text, macros) for text in choices))
    return macros


RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)")


def _slots(body, meanings):
    """The spoken values of every type, and what they mean. A value may be a range of numbers,
    2..60, or made of other types' values that are written before it, "$count:n and a half"; what
    those mean can be reckoned with: "60 * n + 30"."""
    kinds_of = _table(body.get("slots"), "slots")
    slots, values = {}, {kind: dict(meant) for kind, meant in meanings.items() if kind not in kinds_of}
    for kind, texts in kinds_of.items():
        found, given = [], dict(meanings.get(kind, {}))
        for text in _list(texts, f"slots: {kind}"):
            for spoken, means in _spoken_values(text, kind, given.pop(_plain(text), None), slots,
                                                values):
                found.append(spoken)
                if means is not None:
                    values.setdefault(kind, {})[spoken] = means
        slots[kind] = found
        values.setdefault(kind, {}).update(given)     # by now of single numbers of a range
    return slots, {kind: meant for kind, meant in values.items() if meant}


def _spoken_values(text, kind, means, slots, values):
    """(what is said, what it means or None) of one entry of a slot."""
    numbers = RANGE.fullmatch(text)
    if numbers:
        return [(in_words(n), str(n)) for n in range(int(numbers[1]), int(numbers[2]) + 1)]
    if "$" not in text:
        return [(_value(text, kind), means)]
    tree = parse_expression(text)
    for inner, _ in slots_of(tree):
        if inner not in slots:
            raise ContextError(f"slots: {kind}: slot type {inner!r} is not defined before it")
    return [(" ".join(said), means and _reckon(means, {
        name: values.get(inner, {}).get(value, value) for name, inner, value in filled}))
        for said, filled in _expand(slots, tree)]


_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
              ast.Mod: operator.mod}


def _reckon(formula, known):
    """The value of a sum of products of whole numbers and of names."""
    def of(node):
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](of(node.left), of(node.right))
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Name):
            return int(known[node.id])
        raise ValueError
    try:
        return str(of(ast.parse(formula, mode="eval").body))
    except (SyntaxError, ValueError, KeyError):
        raise ContextError(f"values: {formula!r} can not be reckoned") from None


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


def _typed(data):
    """({what is typed: what is said for it, "" if it means nothing}, the types of open slots)"""
    given = _table(data.get("typed"), "typed", ("words", "idle", "open", "meanings"))
    words = {_plain(typed): _plain(_text(said, f"typed: words: {typed}"))
             for typed, said in _table(given.get("words"), "typed: words").items()}
    for text in _list(given.get("idle"), "typed: idle"):
        words.setdefault(_plain(text), "")
    for typed in words:
        if not typed or "=" in typed or len(typed) + len(words[typed]) > MOST_TYPED:
            raise ContextError(f"typed: {typed!r} can not be used")
    return words, tuple(_list(given.get("open"), "typed: open"))


SIGNS = {"says": "", "reply": "=", "call": "!", "hint": "?", "takes": "+"}
NOTHING = "nothing"        # the key of a row whose sentences have no meaning
MOST_SAYS = 500            # letters, as the daemon reads them


def _meanings(data, macros):
    found = []
    for given in (data.get("typed") or {}).get("meanings") or ():
        where = f"typed: meanings: {given!r:.40}"
        given = _table(given, where, (*SIGNS, NOTHING, "calls", "like", "requests", "least", "but"))
        if NOTHING in given:
            continue
        kinds = [kind for kind in SIGNS if kind in given]
        if len(kinds) != 1:
            raise ContextError(f"{where}: needs one of {', '.join(SIGNS)}")
        says = SIGNS[kinds[0]] + "|".join(_list(given[kinds[0]], where))
        if kinds[0] == "takes":
            if not re.fullmatch(r"[+][a-z_]+( [a-z_]+=[a-z_]+)? [a-z_]+", says):
                raise ContextError(f"{where}: takes: needs the names of a call and of its argument")
            says += "|" + (_list(given.get("calls"), where) or [""])[0] + "|" + " ".join(_list(given.get("but"), where))
        if not given[kinds[0]] or len(says.encode()) > MOST_SAYS:
            raise ContextError(f"{where}: has no text, or one that is too long")
        least = _text(given.get("least", "85"), where)
        if not least.isdigit() or int(least) > 100:
            raise ContextError(f"{where}: least: {least!r} is no percentage")
        found.append(Meaning(says, tuple(_list(given.get("calls"), where)),
                             tuple(parse_expression(text, macros) for text in _list(given.get("like"), where)),
                             tuple(_list(given.get("requests"), where)), int(least)))
    return tuple(found)


def _meaningless(data, macros):
    return tuple(parse_expression(text, macros)
                 for given in (data.get("typed") or {}).get("meanings") or () if NOTHING in given
                 for text in _list(given[NOTHING], "typed: meanings: nothing"))


def _examples(data):
    return {intent: _list(texts, f"examples: {intent}")
            for intent, texts in _table(data.get("examples"), "examples").items()}


def _check_typed(context):
    """What any words can stand for must not be passed on: it would be passed on as something else."""
    for kind in context.open:
        if kind not in context.slots:
            raise ContextError(f"typed: open: {kind!r} is no type of a slot")
    for intent, trees in context.expressions.items():
        for kind, name in {slot for tree in trees for slot in slots_of(tree)}:
            if kind in context.open and _known(context, intent, frozenset([name])):
                raise ContextError(f"typed: open: {kind!r} is passed on by {intent}")
    spoken = set(words(context))
    for typed, said in context.typed.items():
        if not set(said.split()) <= spoken:
            raise ContextError(f"typed: words: {typed}: {said!r} has words that the context does not")


def open_words(context):
    """The words that any words can stand for: values of open slots, which nothing else has."""
    trees = [context.before, context.after, context.between, context.denied]
    trees += [tree for trees in context.expressions.values() for tree in trees]
    others = set().union(*(_tree_words(context, tree, context.open) for tree in trees))
    values = [value for kind in context.open for value in context.slots[kind]]
    return sorted({value for value in values if " " not in value} - others)


def _check_expressions(context):
    for kind, values in context.slots.items():
        if not values:
            raise ContextError(f"slots: {kind}: there is no value")
    for intent, trees in context.expressions.items():
        for tree in trees:
            for kind, _ in slots_of(tree):
                if kind is not None and kind not in context.slots:
                    raise ContextError(f"intent {intent}: slot type {kind!r} is not defined")
            if can_be_silent(tree):
                raise ContextError(f"intent {intent}: an expression can be said without a word")
            for name in filled_twice(tree):
                raise ContextError(f"intent {intent}: one sentence can fill {name!r} twice")
    for tree in (context.before, context.after, context.between, context.denied):
        for _, name in slots_of(tree):
            raise ContextError(f"around: nobody would be told of {name!r}; write its values out")
    if context.denied != SILENCE and can_be_silent(context.denied):
        raise ContextError("around: denied: can be said without a word, and would deny everything")


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
            for value in context.slots.get(kind, ()):
                if not NUMBER.fullmatch(meaning(context, kind, value)):
                    raise ContextError(f"calls: {intent}: {name} is a number, but values: {kind}: "
                                       f"does not say which one {value!r} is")


# ---- sentences ---------------------------------------------------------------------

def _expand(slots, tree):
    """All (words, slots filled) that a tree can say. Use only on small contexts."""
    if tree[0] == "word":
        return [((tree[1],), ())]
    if tree[0] == "slot":
        return [((value,), ((tree[2], tree[1], value),)) for value in slots[tree[1]]]
    if tree[0] == "set":
        return [((), ((tree[1], None, tree[2]),))]
    if tree[0] == "choice":
        return [said for part in tree[1] for said in _expand(slots, part)]
    said = [((), ())]
    for part in tree[1]:
        said = [(w + w2, s + s2) for w, s in said for w2, s2 in _expand(slots, part)]
    return said


def core_sentences(context):
    """Every sentence without what may stand around it, by intent."""
    found = {}
    for intent, trees in context.expressions.items():
        unique = {}
        for tree in trees:
            for words, slots in _expand(context.slots, tree):
                unique.setdefault(" ".join(words), Sentence(" ".join(words), intent, slots))
        found[intent] = list(unique.values())
    return found


def all_sentences(context):
    """Every sentence that can be said, with and without what may stand around it. Of two
    readings of a sentence the one that is written first counts. Use only on small contexts."""
    found = {}
    for intent, trees in context.expressions.items():
        plain = intent in context.not_for
        before = [w for w, _ in _expand(context.slots, context.before)] if not plain else [()]
        after = [w for w, _ in _expand(context.slots, context.after)] if not plain else [()]
        for tree in trees:
            cores = _expand(context.slots, tree)
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
    for tree in trees + [context.before, context.after, context.between, context.denied]:
        found |= _tree_words(context, tree)
    return sorted(found)


def _tree_words(context, tree, but=()):
    """but: types of slots that do not count."""
    if tree[0] == "word":
        return {tree[1]}
    if tree[0] == "set":
        return set()
    if tree[0] == "slot":
        return {w for value in context.slots[tree[1]] for w in value.split() if tree[1] not in but}
    return set().union(*(_tree_words(context, part, but) for part in tree[1]))


def _choose(context, tree, rng, slots):
    if tree[0] == "word":
        return [tree[1]]
    if tree[0] == "slot":
        value = rng.choice(context.slots[tree[1]])
        slots.append((tree[2], tree[1], value))
        return [value]
    if tree[0] == "set":
        slots.append((tree[1], None, tree[2]))
        return []
    if tree[0] == "choice":
        choices = tree[1]
        if choices[-1] == SILENCE and len(choices) > 2:    # however many ways there are to say it
            choices = (SILENCE,) if rng.random() < LEFT_OUT else choices[:-1]
        return _choose(context, rng.choice(choices), rng, slots)
    return [word for part in tree[1] for word in _choose(context, part, rng, slots)]


SILENCE = ("sequence", ())
LEFT_OUT = 0.6             # how often an optional part that can be said in several ways is not
POWER = 0.2


class Sampler:
    """Draws sentences; an intent with many sentences comes more often, but only by the
    fifth root of their number, or the timers would drown everything else."""

    def __init__(self, context, before=0.4, after=0.12):
        self.context, self.before, self.after = context, before, after
        self.intents = list(context.expressions)
        self.weights = [self._size(i) ** POWER for i in self.intents]

    def _size(self, intent):
        return sum(_count(self.context, tree) for tree in self.context.expressions[intent])

    def add(self, first, second, rng):
        """Two commands in one breath, if there is a word that may stand between them; the second has
        nothing around it."""
        words = between(self.context)
        if not words or {first.intent, second.intent} & set(self.context.not_for):
            return first
        return replace(first, then=(rng.choice(words), second))

    def draw(self, rng, is_bare=False):
        """is_bare: without what may, or must, stand around it."""
        intent = rng.choices(self.intents, self.weights)[0]
        trees = self.context.expressions[intent]
        tree = rng.choices(trees, [_count(self.context, t) ** POWER for t in trees])[0]
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


def draw_of(context, tree, rng, intent=None):
    """A sentence of one expression, without what may stand around it."""
    slots = []
    parts = _choose(context, tree, rng, slots)
    return Sentence(" ".join(parts), intent, tuple(slots))


def between(context):
    """All that can stand between two commands, as text."""
    return [" ".join(words) for words, _ in _expand(context.slots, context.between) if words]


def phrases(context):
    """All that can stand before a command, as text."""
    return [" ".join(words) for words, _ in _expand(context.slots, context.before) if words]


def _spoken(context, tree, rng):
    """A drawing of an optional part that says something (if it ever can)."""
    said = [w for w, _ in _expand(context.slots, tree) if w]
    return list(rng.choice(said)) if said else []


def _count(context, tree):
    if tree[0] in ("word", "set"):
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


def slot_names(context, intent):
    """The names of all arguments that sentences of an intent can give, sorted."""
    return sorted(set().union(*(names for tree in context.expressions[intent]
                                for names in names_filled(tree) if _known(context, intent, names))))


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
        for names in sorted(set().union(*(names_filled(tree) for tree in trees)), key=sorted):
            yield call_parts(context, intent, names)


def call_values(context):
    """Every value that a call can hold, as text."""
    used = {(intent, part) for intent, trees in context.expressions.items()
            for tree in trees for part in slots_of(tree)}
    values = {meaning(context, kind, value) for intent, (kind, name) in used
              if _known(context, intent, frozenset([name])) for value in context.slots.get(kind, ())}
    return values | {value for trees in context.expressions.values() for tree in trees
                     for _, value in settings_of(tree)}


def call(context, sentence):
    """The tool call of a sentence."""
    said = {name: meaning(context, kind, value) for name, kind, value in sentence.slots}
    return "".join(part if isinstance(part, str) else said[part.name]
                   for part in call_parts(context, sentence.intent, said))


def answer(context, sentence):
    """What the model is to answer: the transcript, the call and the stop token; of two commands
    both, each with its call."""
    first = f"{sentence.text}<|tool_call>{call(context, sentence)}<tool_call|>"
    if not sentence.then:
        return first + "<|tool_response>"
    between, second = sentence.then
    return f"{first} {between} {answer(context, second)}"


def spoken(sentence):
    """All words of a sentence, or of two that are said as one."""
    if not sentence.then:
        return sentence.text
    between, second = sentence.then
    return f"{sentence.text} {between} {spoken(second)}"


TRIES = 12                 # draws, of which the one is read whose words were read least


def to_read(context, n):
    """So many sentences, fewer where there are not so many, that together have as many of the words as can be."""
    rng, sampler, said, texts = random.Random(0), Sampler(context, before=0.15, after=0.05), Counter(), {}
    for _ in range(4 * n):
        drawn = [sampler.draw(rng).text for _ in range(TRIES)]
        text = max(drawn, key=lambda text: sum(1 / (1 + said[word]) for word in text.split()) / (3 + len(text.split())))
        said.update(text.split())
        texts[text] = None
        if len(texts) == n:
            break
    return list(texts)


def main():
    context = load(sys.argv[1])
    if sys.argv[2:3] == ["--say"]:
        print("\n".join(to_read(context, int(sys.argv[3]))))
        return
    rng, sampler = random.Random(0), Sampler(context)
    print(f"{len(context.expressions)} intents, {count(context)} sentences,"
          f" {len(words(context))} words")
    for _ in range(12):
        print("  ", answer(context, sampler.draw(rng)))


if __name__ == "__main__":
    main()
