# SPDX-License-Identifier: Apache-2.0
"""The answers of a context as a deterministic automaton over tokens, for the engine's
constrained decoding: in each state only the listed tokens can follow.

    python grammar.py contexts/desktop.yaml      sizes, and sentences that mean two things

An answer is a transcript and the call that follows from it. The call names the slot values
in an order of its own, and an automaton that remembered all combinations of them would be
their product: hundreds of thousands of states for a cup of coffee. So edges of the
transcript *write* a value into a register as soon as it is certain, and in the call there
are edges that *spell* a register. The call is thus derived from what was heard; the two can
not disagree, and the automaton stays as small as the sentences.

How: the expression trees become a network of words and writes; its states are determinised
in the manner of regular expressions with priorities (of two readings of a sentence the one
written first in the context counts, as in context.all_sentences()); a write waits until all
readings that are still possible agree on it ("medium" may be a size or the beginning of
"medium roast"); at last equal states become one.
"""
import random
import sys

import context as contexts
import vocabulary as vocabularies

KEY = "gemmad.grammar."
NOT_FOR_ME = "<turn|>"
DENIED = ""                 # the intent of what is not to be done: it has no call
CALL = "<|tool_call>"
END_OF_CALL = "<tool_call|><|tool_response>"
ANOTHER = -1                # stands for the state in which another command begins
ITSELF = -2                 # stands for the state that an edge comes from
MOST_STATES = 500_000       # before equal ones become one
MOST_REGISTERS = 32         # the engine's limit
SELF_CHECKS = 100
ARRAYS = ("first", "tokens", "targets", "write_edges", "write_registers", "write_values",
          "value_first", "value_tokens")


# ---- the context as a network --------------------------------------------------------

class Network:
    """Nodes with arcs in the order of priority. A label is None, a word, or a write
    (slot name, value in the call)."""

    def __init__(self, context):
        self.context, self.arcs, self.intent = context, [], {}
        self.closures, self.words_of = {}, {}
        self.start = self.node()
        for intent, trees in context.expressions.items():
            for tree in trees:
                self.sentence(intent, tree)
        if context.denied != contexts.SILENCE:
            self.deny()

    def node(self):
        self.arcs.append([])
        return len(self.arcs) - 1

    def sentence(self, intent, tree):
        kinds, at = contexts.kinds(self.context, intent), self.node()
        self.arcs[self.start].append((None, at))
        if intent in self.context.not_for:
            at = self.add(at, tree, kinds)
        else:
            at = self.add(at, self.context.before, {})
            at = self.add(at, tree, kinds)
            at = self.add(at, self.context.after, {})
        self.intent[at] = intent

    def deny(self):
        """What denies, and any words of the context behind it. It comes last: what a sentence of the
        context says ("do not disturb") is no denial."""
        at = self.node()
        self.arcs[self.start].append((None, at))
        at = self.add(self.add(at, self.context.before, {}), self.context.denied, {})
        self.intent[at] = DENIED
        self.arcs[at] += [(word, at) for word in contexts.words(self.context)]

    def add(self, at, tree, kinds):
        """Append what a tree can say to a node; the node after it."""
        if tree[0] == "word":
            return self.words(at, (tree[1],))
        if tree[0] == "sequence":
            for part in tree[1]:
                at = self.add(at, part, kinds)
            return at
        end = self.node()
        if tree[0] == "set":
            is_heard = kinds is None or tree[1] in kinds
            self.arcs[at].append((tree[1:] if is_heard else None, end))
            return end
        if tree[0] == "choice":
            for part in tree[1]:
                branch = self.node()
                self.arcs[at].append((None, branch))
                self.arcs[self.add(branch, part, kinds)].append((None, end))
            return end
        for value, last in self.spread(at, self.context.slots[tree[1]]):
            write = None
            if kinds is None or tree[2] in kinds:
                write = (tree[2], contexts.meaning(self.context, tree[1], value))
            self.arcs[last].append((write, end))
        return end

    def spread(self, at, values):
        """Append values that begin with the same words as one branch; (value, node after it)."""
        known = {(): at}
        for value in dict.fromkeys(values):
            said = tuple(value.split())
            for n in range(1, len(said) + 1):
                if said[:n] not in known:
                    known[said[:n]] = self.words(known[said[:n - 1]], said[n - 1:n])
            yield value, known[said]

    def spoken(self, node):
        """The arcs of a node that have a word."""
        if node not in self.words_of:
            self.words_of[node] = [arc for arc in self.arcs[node] if isinstance(arc[0], str)]
        return self.words_of[node]

    def closure(self, node):
        """[(node, writes)]: where one can rest, for a word or the end, after arcs without words."""
        if node not in self.closures:
            found, stack = {}, [(node, ())]
            while stack:
                at, writes = stack.pop()
                if at in self.intent or self.spoken(at):
                    found.setdefault((at, writes))
                stack += [(after, writes + (label,) if label else writes)
                          for label, after in reversed(self.arcs[at]) if not isinstance(label, str)]
            self.closures[node] = list(found)
        return self.closures[node]

    def words(self, at, words):
        for word in words:
            after = self.node()
            self.arcs[at].append((word, after))
            at = after
        return at


# ---- determinising -------------------------------------------------------------------

class Words:
    """The network as a deterministic automaton over words.

    A state is a tuple of threads (node, writes that wait, names of all slots written), the
    one with priority first. edges[state] = {word: (writes, state)}; ends[state] = (writes,
    intent, names), where a sentence can end."""

    def __init__(self, network):
        self.network, self.edges, self.ends, self.ambiguous = network, {}, {}, []
        self.doubtful = set()       # states in which a sentence with two readings can end
        self.said = ()
        writes, self.start = self.settle([(network.start, (), ())])
        assert not writes, "nothing is certain before the first word"
        waiting = [(self.start, ())]
        while waiting:
            state, self.said = waiting.pop()
            if state in self.edges:
                continue
            self.edges[state] = self.follow(state)
            self.end(state)
            if len(self.edges) > MOST_STATES:
                raise contexts.ContextError("the context is too large for an automaton")
            waiting += [(after, self.said + (word,))
                        for word, (_, after) in self.edges[state].items()]

    def follow(self, state):
        said, found = self.said, {}
        for node, waits, names in state:
            for label, after in self.network.spoken(node):
                found.setdefault(label, []).append((after, waits, names))
        edges = {}
        for word, threads in found.items():
            self.said = said + (word,)
            edges[word] = self.settle(threads)
        self.said = said
        return edges

    def settle(self, threads):
        """Follow all arcs without words; then take out the writes that all threads share."""
        seen = {}
        for node, waits, names in threads:
            for after, writes in self.network.closure(node):
                thread = after, *_written(waits, names, writes)
                if seen.setdefault(after, thread) != thread:
                    self.note(" ".join(self.said) + " …")
        resting = list(seen.values())
        shared = set(resting[0][1])
        for _, waits, _ in resting:
            shared &= set(waits)
            if not shared:
                return (), tuple(resting)
        return tuple(sorted(shared)), tuple((node, tuple(w for w in waits if w not in shared), names)
                                            for node, waits, names in resting)

    def end(self, state):
        readings = [(waits, self.network.intent[node], names) for node, waits, names in state
                    if node in self.network.intent]
        if readings:
            self.ends[state] = readings[0]
        if len({reading for reading in readings if reading[1] != DENIED}) > 1:
            self.doubtful.add(state)
            self.note(" ".join(self.said))

    def say(self, words):
        """Whether these words are a sentence."""
        state = self._reach(words)
        return state in self.ends and self.ends[state][1] != DENIED

    def deny(self, words):
        """Whether they say what is not to be done."""
        state = self._reach(words)
        return state in self.ends and self.ends[state][1] == DENIED

    def is_doubtful(self, words):
        """Whether they are one that means two things."""
        return self._reach(words) in self.doubtful

    def _reach(self, words):
        state = self.start
        for word in words:
            if word not in self.edges[state]:
                return None
            state = self.edges[state][word][1]
        return state

    def note(self, text):
        if text not in self.ambiguous:
            self.ambiguous.append(text)


def _written(waits, names, writes):
    """A thread's waiting writes and names after some more writes; the last one counts."""
    for write in writes:
        kept = [w for w in waits if w[0] != write[0]]
        waits, names = tuple(sorted([*kept, write])), tuple(sorted({*names, write[0]}))
    return waits, names


# ---- from words to tokens, from states to numbers ------------------------------------

class _Table:
    """Numbered states, equal ones having one number, and registers and their values."""

    def __init__(self, vocabulary, context):
        self.vocabulary, self.context = vocabulary, context
        self.states = {(): 0}                # edges -> number; () is where an answer is over
        self.registers, self.values = {}, {}
        self.another = None                  # the number of the state that ANOTHER stands for

    def state(self, edges):
        """edges: token -> (writes, number)."""
        key = tuple(sorted((token, *edge) for token, edge in edges.items()))
        return self.states.setdefault(key, len(self.states))

    def write(self, name, text):
        if not text:
            raise contexts.ContextError(f"slot {name!r} has an empty value")
        register = self.registers.setdefault(name, len(self.registers))
        return register, self.values.setdefault(text, len(self.values))

    def chain(self, tokens, after):
        for token in reversed(tokens):
            after = self.state({token: ((), after)})
        return after

    def end_of_call(self, intent):
        """The state after the call of an intent: the end, or the word before another command."""
        last, over = self.vocabulary.encode(END_OF_CALL)
        edges = {over: ((), 0)}
        if intent not in self.context.not_for:
            for said in contexts.between(self.context):
                first, *rest = self.vocabulary.encode(" " + said)
                if first in edges:
                    raise contexts.ContextError("around: between: two choices begin with one word")
                edges[first] = (), self.chain(rest, ANOTHER)
        return self.state({last: ((), self.state(edges))})

    def call(self, intent, names):
        """The state before the call of an intent with these slots."""
        after = self.end_of_call(intent)
        for part in reversed(contexts.call_parts(self.context, intent, names)):
            if isinstance(part, str):
                after = self.chain(self.vocabulary.encode(part), after)
            else:
                after = self.chain([-1 - self.registers[part.name]], after)
        return after

    def token(self, word, is_first):
        tokens = self.vocabulary.encode(word if is_first else " " + word)
        if len(tokens) != 1:
            raise contexts.ContextError(f"the word {word!r} is not one token")
        return tokens[0]


def _number(table, words):
    """Give all states of the words' automaton their numbers, from the ends to the start."""
    numbers, stack = {}, [words.start]
    call, over = table.vocabulary.ids[CALL], table.vocabulary.ids[NOT_FOR_ME]
    while stack:
        state = stack[-1]
        missing = [after for _, after in words.edges[state].values()
                   if after not in numbers and after != state]
        if missing:
            stack += missing
            continue
        stack.pop()
        edges = {table.token(word, state == words.start):
                 (tuple(table.write(*w) for w in writes), ITSELF if after == state else numbers[after])
                 for word, (writes, after) in words.edges[state].items()}
        if state in words.ends:
            writes, intent, names = words.ends[state]
            writes = tuple(table.write(*w) for w in writes)
            edges |= {over: ((), 0)} if intent == DENIED else {call: (writes, table.call(intent, names))}
        if state == words.start:
            edges[over] = (), 0
        numbers[state] = table.state(edges)
        if state == words.start:
            table.another = table.state({
                table.token(word, False): (tuple(table.write(*w) for w in writes), numbers[after])
                for word, (writes, after) in words.edges[state].items()})
    return numbers[words.start]


def _arrays(table, start):
    """The arrays of the file. State 0 is the start; what follows an answer's last token is
    the start as well, where the next answer would begin."""
    by_number = {number: edges for edges, number in table.states.items()}
    order = [start] + [n for n in range(1, len(by_number)) if n != start]
    place = {number: i for i, number in enumerate(order)} | {0: 0}
    place[ANOTHER] = place[table.another]
    arrays = {name: [] for name in ARRAYS}
    arrays["first"].append(0)
    for number in order:
        for token, writes, after in by_number[number]:
            for register, value in writes:
                arrays["write_edges"].append(len(arrays["tokens"]))
                arrays["write_registers"].append(register)
                arrays["write_values"].append(value)
            arrays["tokens"].append(token)
            arrays["targets"].append(place[number if after == ITSELF else after])
        arrays["first"].append(len(arrays["tokens"]))
    arrays["value_first"].append(0)
    for text in table.values:
        arrays["value_tokens"] += table.vocabulary.encode(text)
        arrays["value_first"].append(len(arrays["value_tokens"]))
    return arrays


def compile_words(context):
    return Words(Network(context))


def build(vocabulary, context):
    """The automaton as the arrays that the engine reads, by the names of ARRAYS."""
    words, table = compile_words(context), _Table(vocabulary, context)
    for intent in context.expressions:       # registers have numbers before they are spelled
        for name in contexts.slot_names(context, intent):
            table.registers.setdefault(name, len(table.registers))
    if len(table.registers) > MOST_REGISTERS:
        raise contexts.ContextError(f"more than {MOST_REGISTERS} names of slots")
    arrays = _arrays(table, _number(table, words))
    _check(Automaton(arrays), vocabulary, context)
    return arrays


def _check(automaton, vocabulary, context):
    """What the sampler draws must be accepted, unless another reading takes precedence."""
    rng, sampler = random.Random(0), contexts.Sampler(context)
    for _ in range(SELF_CHECKS):
        sentence = sampler.draw(rng)
        heard = vocabulary.encode(sentence.text + CALL)
        position = automaton.follow_all(automaton.start, heard)
        if position is None:
            raise contexts.ContextError(f"the automaton does not know {sentence.text!r}")


def check(context):
    """Ends the program if no model can be made of a context. To be asked before the long steps."""
    vocabulary = vocabularies.build(context)
    try:
        vocabularies.check(vocabulary, context)
        build(vocabulary, context)
    except contexts.ContextError as error:
        raise SystemExit(f"the context can not be used: {error}") from None


def add(out, vocabulary, context):
    """Write the automaton's keys into a GGUF file that is being written."""
    arrays = build(vocabulary, context)
    arrays |= leeway(vocabulary, context)
    for name in arrays:
        if arrays[name]:                     # a context without slots has no registers
            add_array(out, KEY + name, arrays[name])


WIDTHS = {"UINT8": (0, 1 << 8), "INT8": (-(1 << 7), 1 << 7), "UINT16": (0, 1 << 16), "INT16": (-(1 << 15), 1 << 15),
          "INT32": (-(1 << 31), 1 << 31), "UINT32": (0, 1 << 32)}


def add_array(out, key, values):
    """Numbers as narrow as they can be: of a wide context they are most of what is beside the weights."""
    from gguf import GGUFValueType
    kind = None if isinstance(values[0], str) else next(
        (kind for kind, (least, end) in WIDTHS.items() if least <= min(values) and max(values) < end), None)
    if kind:
        out.add_key_value(key, list(values), GGUFValueType.ARRAY, GGUFValueType[kind])
    else:
        out.add_array(key, values)


def leeway(vocabulary, context):
    """What typed texts may have beside the automaton, and what is worth trying, as arrays."""
    words = contexts.open_words(context)
    tokens = {tokens[0] for word in words for tokens in map(vocabulary.encode, (word, " " + word))
              if len(tokens) == 1}
    return {"open": sorted(tokens), "typed": [f"{typed}={said}" for typed, said in context.typed.items()],
            "examples": [text.lower() for texts in context.examples.values() for text in texts]}


# ---- reading it, as the engine does --------------------------------------------------

class Automaton:
    """A position is (state, what the registers hold, place within the register that is
    being spelled); it is never changed, so a search can keep many."""

    def __init__(self, arrays):
        first, tokens, targets = arrays["first"], arrays["tokens"], arrays["targets"]
        self.edges = [{tokens[i]: (i, targets[i]) for i in range(a, b)}
                      for a, b in zip(first, first[1:])]
        self.writes = {}
        for edge, register, value in zip(arrays["write_edges"], arrays["write_registers"],
                                         arrays["write_values"]):
            self.writes.setdefault(edge, []).append((register, value))
        begins = arrays["value_first"]
        self.values = [arrays["value_tokens"][a:b] for a, b in zip(begins, begins[1:])]
        self.start = 0, (), 0

    def _spelled(self, position):
        state, held, at = position
        token = next(iter(self.edges[state]))
        return None if token >= 0 else self.values[dict(held)[-1 - token]]

    def allowed(self, position):
        """The tokens that can follow."""
        value = self._spelled(position)
        return [value[position[2]]] if value else list(self.edges[position[0]])

    def follow(self, position, token):
        """The position after a token; None when it can not follow."""
        state, held, at = position
        value = self._spelled(position)
        if value:
            if value[at] != token:
                return None
            if at + 1 < len(value):
                return state, held, at + 1
            token = next(iter(self.edges[state]))
        if token not in self.edges[state]:
            return None
        edge, state = self.edges[state][token]
        if edge in self.writes:
            held = tuple(sorted((dict(held) | dict(self.writes[edge])).items()))
        return state, held, 0

    def follow_all(self, position, tokens):
        for token in tokens:
            position = position and self.follow(position, token)
        return position

    def answers(self, position=None, said=()):
        """Every answer as a tuple of tokens. Use only on small contexts in which only one command
        can be given at a time."""
        for token in self.allowed(position or self.start):
            after = self.follow(position or self.start, token)
            if after[0] == 0 and after[2] == 0:
                yield said + (token,)
            else:
                yield from self.answers(after, said + (token,))

    def count(self):
        """How many answers of one command there are; any number, without listing them. What is denied
        with any words has no number, and does not count."""
        ways = {}
        loops = {state for state, edges in enumerate(self.edges)
                 if state and any(after == state for _, after in edges.values())}

        def of(state):
            if state not in ways:
                targets = [after for _, after in self.edges[state].values() if after not in loops]
                if state and len(targets) < len(self.edges[state]):
                    targets = [after for after in targets if after]    # an end without a call
                elif state and 0 in targets:     # what follows is another command
                    targets = [0]
                ways[state] = sum(of(after) if after else 1 for after in targets)
            return ways[state]

        return of(0)


def main():
    context = contexts.load(sys.argv[1])
    arrays = build(vocabularies.build(context), context)
    print(f"{Automaton(arrays).count() - 1} sentences; {len(arrays['first']) - 1} states, "
          f"{len(arrays['tokens'])} edges, {len(arrays['write_edges'])} writes of "
          f"{max(0, len(arrays['value_first']) - 1)} values")
    ambiguous = compile_words(context).ambiguous
    if ambiguous:
        print(f"{len(ambiguous)} sentences or beginnings mean two things; the first counts:")
        for text in ambiguous[:20]:
            print("  ", text)


if __name__ == "__main__":
    main()
