# SPDX-License-Identifier: Apache-2.0
"""Train a pocket model on a corpus.

    python train.py contexts/desktop.yaml CORPUS OUT --minutes 90

Writes OUT/last.pt every few minutes and at the end; if it is there, training goes on from
it. OUT/curves.png shows how it went.

Each core is a worker with batches of its own; their gradients are averaged at every step. (So
small a model gains nothing from two threads that share each product.) A GPU is one worker, and all
cores make batches for it.
"""
import argparse
import json
import math
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.distributed as distributed
import torch.nn.functional as F

import batches
import context as contexts
import corpus
import grammar
import pocket_file
import vocabulary as vocabularies
from network import Network, Shape

LEAST_SHARE = 8          # examples of a batch that are worth a worker
WARM_UP = 100            # steps
SETTLING = 100           # steps in which new helpers learn from a trained model and not it from them
FINAL_RATE = 0.02        # of the peak, at the end
WIDTH_STEP = Shape.head_size * Shape.kv_heads    # the heads of queries share those of keys evenly
CTC_WEIGHT = {"letters": 0.3, "words": 0.5}


def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array)).to(torch.get_default_device())


def run(network, batch, settles=False):
    """Logits for the answer's columns, and what the helpers hear in the audio columns. settles: the
    helpers learn from the network, and it does not learn from them."""
    if batch.frames is None:
        x = network.embed(tensor(batch.ids))
    else:
        x = network.embed(tensor(batch.ids), tensor(batch.frames).float(), batch.at,
                          tensor(batch.is_audio))
    hidden, early = network(x, tensor(batch.padding), batch.start)
    logits = network.logits(hidden)
    if batch.frames is None:
        return logits, {}
    heard = early[:, batch.at:batch.at + batch.frames.shape[1]]
    if settles:
        heard = heard.detach()
    return logits, {name: head(heard) for name, head in network.helpers.items()}


def precision(device):
    """What the products of matrices are computed in. A processor that only converts to bf16 is slower with
    it than without."""
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "f32"
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="ignore") as file:
            flags = set(next((line for line in file if line.startswith("flags")), "").split())
    except OSError:
        flags = set()
    return "bf16" if flags & {"avx512_bf16", "amx_bf16"} else "f32"


def answer_loss(logits, batch):
    targets, weights = tensor(batch.targets), tensor(batch.weights)
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none",
                           ignore_index=batches.IGNORE)
    return (loss * weights.flatten()).sum() / weights.sum().clamp(min=1)


def helper_loss(scores, said, batch):
    """CTC over the audio columns of the rows of which it is known what is said. The rows'
    padding is on the left, so each row is rolled to begin with its first frame."""
    known = [row for row, classes in enumerate(said) if classes is not None]
    if not known:
        return scores.sum() * 0
    lengths = tensor(batch.is_audio.sum(1))[known]
    longest = batch.is_audio.shape[1]
    take = (torch.arange(longest)[None] + (longest - lengths)[:, None]) % longest
    rolled = scores[known].gather(1, take[..., None].expand(-1, -1, scores.shape[-1]))
    classes = torch.tensor([number for row in known for number in said[row]])
    return F.ctc_loss(rolled.log_softmax(-1).transpose(0, 1), classes, lengths,
                      torch.tensor([len(said[row]) for row in known]), zero_infinity=True)


@torch.no_grad()
def right_rows(network, maker, batch):
    """Which rows are answered exactly. An answer decoded greedily equals the target if and
    only if every next token is the likeliest after the target's beginning, so one pass with
    the target as input decides it without decoding."""
    logits, _ = run(network, batch)
    logits[..., [maker.vocabulary.ids[t] for t in vocabularies.SUPPRESSED]] = -math.inf
    best = logits.argmax(-1).cpu().numpy()
    return ((best == batch.targets) | (batch.targets == batches.IGNORE)).all(1)


def exact(network, maker, lines, clips, size=20):
    """Which clips are answered exactly."""
    network.eval()
    by_length = sorted(range(len(clips)), key=lambda i: len(clips[i]))
    right = np.zeros(len(clips), bool)
    for at in range(0, len(by_length), size):
        chosen = by_length[at:at + size]
        batch = maker.audio([clips[i] for i in chosen], [lines[i]["answer"] for i in chosen],
                            [""] * len(chosen))
        right[chosen] = right_rows(network, maker, batch)
    network.train()
    return right


def by_engine(lines, right):
    """{engine: (right, all)}, commands apart from other speech."""
    table = {}
    for line, good in zip(lines, right):
        group = line["engine"] if line["intent"] else "not a command"
        hits, total = table.get(group, (0, 0))
        table[group] = (hits + int(good), total + 1)
    return table


def validation(folder):
    lines, audio, offsets = corpus.load(folder, "valid")
    clips = [batches.plain_frames(audio[a:b]) for a, b in zip(offsets, offsets[1:])]
    return lines, clips


def draw_curves(history, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, left = pyplot.subplots(figsize=(8, 4.5))
    steps = [h["step"] for h in history["loss"]]
    for name in ("loss", "words", "letters"):
        left.plot(steps, [h[name] for h in history["loss"]], label=name)
    left.set(xlabel="step", ylabel="loss", ylim=(0, 3.5))
    right = left.twinx()
    right.plot([h["step"] for h in history["valid"]], [h["exact"] for h in history["valid"]],
               "k.-", label="held-out voices, whole command right")
    right.set(ylim=(0, 1), ylabel="share")
    figure.legend(loc="upper center", ncols=3, fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


@dataclass
class Known:
    """What a last.pt or a finished GGUF file, which has no helpers, has learned."""
    state: dict              # {name: tensor}
    shape: Shape
    context: object


def load(path):
    """A last.pt."""
    return torch.load(path, map_location="cpu", weights_only=False)


def known_of(path):
    if path.endswith(".gguf"):
        network, _, context = pocket_file.read(path)
        return Known(network.state_dict(), network.shape, context)
    saved = load(path)
    return Known(saved["network"], Shape(**saved["shape"]), contexts.parse(saved["context"]))


def common(new, old):
    """[(number in new, number in old)] of the keys that both have."""
    return [(number, old[key]) for key, number in new.items() if key in old]


class Trainer:
    """One worker. All hold the same network; the first one reports, scores and saves."""

    def __init__(self, args, number):
        self.args, self.number = args, number
        self.context = contexts.load(args.context)
        corpus.check_context(args.corpus, self.context.source)
        self.vocabulary = vocabularies.build(self.context)
        self.maker = batches.Maker(self.vocabulary, contexts.words(self.context))
        self.path = os.path.join(args.out, "last.pt")
        torch.manual_seed(args.seed)
        saved = load(self.path) if os.path.exists(self.path) else None
        known = known_of(args.start) if args.start and not saved else None
        self.network = Network(self.shape(saved, known), self.maker.helpers)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=args.rate, fused=True,
                                           betas=(0.9, 0.98), weight_decay=0.05)
        self.settling = 0                        # the step at which new helpers have settled
        self.step, self.spent = 0, 0.0           # spent: seconds of training, over all runs
        self.history = {"loss": [], "valid": []}
        self.asked = self.stopping = False       # to stop: this worker, all of them
        if saved:
            self.restore(saved)
        elif known:
            self.learn_from(known)

    def shape(self, saved, known):
        """As asked for, unless there is something to go on from or to begin with, which has a shape."""
        vocabulary, args = len(self.vocabulary), self.args
        if saved:
            return Shape(**saved["shape"])
        if known:
            return replace(known.shape, vocabulary=vocabulary)
        return Shape(vocabulary, args.width, args.layers, args.hidden, args.width // Shape.head_size)

    def restore(self, saved):
        if contexts.parse(saved["context"]) != self.context:
            raise SystemExit(f"{self.path} is of another context: use another folder, and "
                             f"--start {self.path} to begin with what it has learned")
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.spent, self.history = saved["step"], saved["spent"], saved["history"]
        self.settling = saved.get("settling", 0)
        self.tell(f"going on from step {self.step}")

    def learn_from(self, source):
        """Begins with what a model of another context has learned: its layers, and its rows
        of the tokens and the words that both contexts have. The other rows stay random."""
        tokens = common(self.vocabulary.ids, vocabularies.build(source.context).ids)
        words = {word: number for number, word in enumerate(contexts.words(source.context), 1)}
        heard = [(0, 0), (len(self.maker.words) + 1, len(words) + 1)]    # blank, other words
        heard += common(self.maker.words, words)
        rows = {"token_embd.weight": tokens, "helpers.words.weight": heard,
                "helpers.words.bias": heard}
        state = self.network.state_dict()
        for name, old in source.state.items():
            if name in rows:
                ours, theirs = zip(*rows[name])
                state[name][list(ours)] = old[list(theirs)].to(state[name].device)
            else:
                state[name] = old
        self.network.load_state_dict(state)
        self.settling = 0 if any(name.startswith("helpers") for name in source.state) else SETTLING
        self.tell(f"starting from {self.args.start}: {len(tokens)} of {len(self.vocabulary)} tokens and "
                  f"{len(heard) - 2} of {len(self.maker.words)} words are known")

    def tell(self, text):
        if self.number == 0:
            print(text, flush=True)

    def save(self):
        data = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(),
                "shape": self.network.shape.as_dict(), "context": self.context.source,
                "helpers": self.maker.helpers,
                "step": self.step, "spent": self.spent, "history": self.history,
                "settling": self.settling,
                "seed": self.args.seed}
        torch.save(data, self.path + ".part")
        os.replace(self.path + ".part", self.path)
        draw_curves(self.history, os.path.join(self.args.out, "curves.png"))

    def rate(self):
        """Warm-up, then a cosine over the wall time, so that the end is always cooled down."""
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress()))
        return self.args.rate * min(1, (self.step + 1) / WARM_UP) * (
            FINAL_RATE + (1 - FINAL_RATE) * cosine)

    def train_step(self, batch):
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        with torch.autocast(self.args.device, torch.bfloat16, enabled=self.args.precision == "bf16"):
            logits, heard = run(self.network, batch, settles=self.step < self.settling)
        logits, heard = logits.float(), {name: scores.float() for name, scores in heard.items()}
        losses = {"loss": answer_loss(logits, batch)}
        for name, scores in heard.items():
            losses[name] = helper_loss(scores, batch.said[name], batch)
        self.optimizer.zero_grad()
        sum(CTC_WEIGHT.get(name, 1.0) * loss for name, loss in losses.items()).backward()
        self.agree()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return {name: loss.detach() for name, loss in losses.items()} if heard else None

    def agree(self):
        """Give all workers the mean of their gradients, and the first one's clock and will:
        they must take the same steps and end after the same one."""
        if self.args.workers == 1:
            self.spent, self.stopping = time.time() - self.began, self.asked
            return
        parameters = list(self.network.parameters())
        mine = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        lead = [time.time() - self.began, self.asked] if self.number == 0 else [0, 0]
        shared = torch.cat([*(g.flatten() for g in mine), torch.tensor(lead, dtype=torch.float)])
        distributed.all_reduce(shared)
        self.spent, self.stopping = shared[-2].item(), bool(shared[-1])
        means = (shared[:-2] / self.args.workers).split([p.numel() for p in parameters])
        for parameter, mean in zip(parameters, means):
            parameter.grad = mean.view_as(parameter)

    def progress(self):
        return min(1.0, self.spent / (60 * self.args.minutes))

    def hardness(self):
        begin, end = self.args.harden
        return min(1.0, max(0.0, (self.progress() - begin) / max(end - begin, 1e-9)))

    def validate(self):
        lines, clips = validation(self.args.corpus)
        right = exact(self.network, self.maker, lines, clips)
        table = by_engine(lines, right)
        self.history["valid"].append({"step": self.step, "exact": float(right.mean()),
                                      "minutes": self.spent / 60, "table": table})
        print(f"  step {self.step}: right on held-out voices {right.mean():.3f} ",
              json.dumps(table), flush=True)

    def loop(self):
        args = self.args
        source = batches.Source(self.maker, self.context, args.corpus, args.batch // args.workers,
                                args.seed + self.step + 1_000_000 * self.number, args.text,
                                producers=os.cpu_count() if args.device == "cuda" else 1,
                                noise=args.noise, hardness=self.hardness(), typed=args.typed)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "asked", True))
        recent, self.began = [], time.time() - self.spent
        next_check = self.spent + 60 * args.check
        while self.spent < 60 * args.minutes and not self.stopping:
            source.hardness.value = self.hardness()
            result = self.train_step(source.get())
            if result:
                recent.append(result)
            if self.step % self.args.report == 0 and recent:
                self.report(recent)
                recent = []
            if self.spent > next_check:
                next_check += 60 * args.check
                self.check(score=True)
        self.check(score=not self.stopping)      # asked to stop: save, go on another time

    def check(self, score):
        if self.number == 0:
            if score:
                self.validate()
            self.save()

    def report(self, recent):
        mean = {name: torch.stack([r[name] for r in recent]).mean().item() for name in recent[0]}
        self.history["loss"].append({"step": self.step, **mean})
        done = int(20 * self.progress())
        losses = " ".join(f"{name} {value:.3f}" for name, value in mean.items())
        self.tell(f"[{'#' * done}{'.' * (20 - done)}] step {self.step} {losses} "
                  f"rate {self.rate():.1e} hardness {self.hardness():.2f} "
                  f"{max(0, self.args.minutes - self.spent / 60):.1f} min left")


def work(args, number):
    """Run in a process of its own for each number; they meet over a file in OUT."""
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.set_default_device(args.device)
    if args.workers > 1:
        distributed.init_process_group("gloo", init_method=f"file://{args.meeting}",
                                       rank=number, world_size=args.workers)
    Trainer(args, number).loop()
    if args.workers > 1:
        distributed.destroy_process_group()


def main():
    options = argparse.ArgumentParser(description="train a pocket model")
    options.add_argument("context")
    options.add_argument("corpus")
    options.add_argument("out")
    options.add_argument("--minutes", type=float, default=90, help="training time, all runs")
    options.add_argument("--start", help="a last.pt or a GGUF, of this or another context, to learn "
                         "from; its sizes are kept")
    options.add_argument("--check", type=float, default=6, help="minutes between checks")
    options.add_argument("--harden", type=float, nargs=2, default=(0.15, 0.5), metavar="PART",
                         help="the recordings get worse between these parts of the training")
    options.add_argument("--rate", type=float, default=1.5e-3)
    options.add_argument("--batch", type=int, default=32, help="examples in a step")
    options.add_argument("--layers", type=int, default=4)
    options.add_argument("--width", type=int, default=256, help=f"a multiple of {WIDTH_STEP}")
    options.add_argument("--hidden", type=int, default=1024, help="width of the feed-forward, at least twice --width")
    options.add_argument("--text", type=float, default=batches.TEXT, help="batches of typed sentences for one with sound")
    options.add_argument("--noise", metavar="DIR", help="recordings of rooms, and short ones of what happens in them")
    options.add_argument("--precision", choices=("bf16", "f32"), help="bf16 by itself where the processor or "
                         "the GPU multiplies such numbers")
    options.add_argument("--device", choices=("cpu", "cuda"),
                         default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--workers", type=int, help="one for each core, or one for the GPU")
    options.add_argument("--report", type=int, default=25, help="steps between two lines")
    options.add_argument("--typed", metavar="FILE", help="people's wordings and what they mean, see wordings.py")
    options.add_argument("--seed", type=int, default=0)
    args = options.parse_args()
    if args.width < 1 or args.width % WIDTH_STEP:
        raise SystemExit(f"--width {args.width} is no multiple of {WIDTH_STEP}")
    if args.hidden < 2 * args.width:             # energy_start() squares every channel with two units
        raise SystemExit(f"--hidden {args.hidden} is less than twice --width {args.width}")
    cores = min(os.cpu_count(), max(1, args.batch // LEAST_SHARE))
    args.workers = args.workers or (cores if args.device == "cpu" else 1)
    if args.batch < args.workers:
        raise SystemExit(f"a batch of {args.batch} is too small for {args.workers} workers")
    args.precision = args.precision or precision(args.device)
    grammar.check(contexts.load(args.context))
    os.makedirs(args.out, exist_ok=True)
    print(json.dumps(vars(args)), flush=True)
    args.meeting = os.path.join(os.path.abspath(args.out), f"meeting-{os.getpid()}")
    run_workers(args)


def run_workers(args):
    others = [multiprocessing.get_context("spawn").Process(target=work, args=(args, number))
              for number in range(1, args.workers)]
    for process in others:
        process.start()
    try:
        work(args, 0)
    except BaseException:
        for process in others:                   # they wait for us
            process.terminate()
        raise
    for process in others:
        process.join()


if __name__ == "__main__":
    main()
