# SPDX-License-Identifier: Apache-2.0
"""The answers of a context as a deterministic automaton over tokens, for the engine's
constrained decoding: in each state only the listed tokens can follow.

All answers go into a tree of tokens; then equal subtrees become one, from the leaves up.
"""
import context as contexts

# A context with more sentences than this has too many answers to list one by one.
MOST_SENTENCES = 200_000

KEY = "gemmad.grammar."
NOT_FOR_ME = "<turn|>"


def _count(context):
    around = contexts._count(context, context.before) * contexts._count(context, context.after)
    return around * sum(contexts._count(context, tree)
                        for trees in context.expressions.values() for tree in trees)


def _tree(vocabulary, context):
    """Nested dictionaries: token -> what can follow; an answer's last token leads to {}."""
    root = {vocabulary.encode(NOT_FOR_ME)[0]: {}}
    for sentence in contexts.all_sentences(context):
        node = root
        for token in vocabulary.encode(contexts.answer(context, sentence)):
            node = node.setdefault(token, {})
    return root


def _share(node, known):
    """The number of a node, equal nodes having the same; known: edges -> number."""
    edges = tuple(sorted((token, _share(child, known)) for token, child in node.items()))
    return known.setdefault(edges, len(known))


def build(vocabulary, context):
    """(first, tokens, targets) as the engine reads them, or None for too large a context.

    State 0 is the start. After its last token an answer is over, so that edge leads to the
    start, where the next answer would begin.
    """
    if _count(context) > MOST_SENTENCES:
        return None
    known = {}
    root = _share(_tree(vocabulary, context), known)
    leaf = known[()]
    order = [root] + [n for n in range(len(known)) if n not in (root, leaf)]
    state = {number: i for i, number in enumerate(order)}
    state[leaf] = 0
    edges_of = {number: edges for edges, number in known.items()}
    first, tokens, targets = [0], [], []
    for number in order:
        for token, child in edges_of[number]:
            tokens.append(token)
            targets.append(state[child])
        first.append(len(tokens))
    return first, tokens, targets


def add(out, vocabulary, context):
    """Write the automaton's keys into a GGUF file that is being written."""
    automaton = build(vocabulary, context)
    if automaton:
        for name, values in zip(("first", "tokens", "targets"), automaton):
            out.add_array(KEY + name, values)
