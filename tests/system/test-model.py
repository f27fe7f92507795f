#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gemmactl model: fetched from a server that does everything that servers and networks do wrong."""
import hashlib
import http.server
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import GEMMACTL, GEMMAD, SOURCE, Daemon, Tap, wait_until  # noqa: E402

tap = Tap()
with open(os.path.join(SOURCE, "model/pocket.gguf"), "rb") as f:
    POCKET = f.read()
SUM = hashlib.sha256(POCKET).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves POCKET at any path; `faults` are taken one by one, each for one request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.requests = [], []
        self.etag, self.published, self.store = '"one"', None, None
        self.body, self.bodies, self.missing = POCKET, {}, set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, name="small.gguf"):
        return f"http://127.0.0.1:{self.server_port}/files/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        s = self.server
        s.requests.append(dict(self.headers))
        fault = s.faults.pop(0) if s.faults else None
        if fault == "redirect":
            self.send_response(302)
            if s.published:
                self.send_header("X-Linked-Etag", f'"{s.published}"')
            port = s.store.server_port if s.store else s.server_port
            self.send_header("Location", f"http://127.0.0.1:{port}/store/small.gguf")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path.rsplit("/", 1)[-1] in s.missing:
            fault = 404
        if isinstance(fault, int):
            self.send_response(fault)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first, wanted = 0, self.headers.get("Range")
        if wanted and self.headers.get("If-Range") == s.etag and fault != "no ranges":
            first = int(wanted.split("=")[1].split("-")[0])
        if first > len(s.body):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        whole = s.bodies.get(self.path.rsplit("/", 1)[-1], s.body)
        body = whole[first:]
        self.send_response(206 if first else 200)
        if first:
            begin = first - 7 if fault == "wrong range" else first
            self.send_header("Content-Range", f"bytes {begin}-{len(whole) - 1}/{len(whole)}")
        self.send_header("ETag", s.etag)
        if fault in ("chunked", "chunked cut"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(body) if fault == "chunked" else len(body) // 2, 1_000_000):
                part = body[at:at + 1_000_000]
                self.wfile.write(b"%x\r\n" % len(part) + part + b"\r\n")
            self.wfile.write(b"0\r\n\r\n" if fault == "chunked" else b"")
            self.close_connection = fault != "chunked"
            return
        told = {"more": len(body) + 1000, "less": len(body) - 1000, "huge": 10**17}.get(fault, len(body))
        self.send_header("Content-Length", str(told))
        self.end_headers()
        if fault == "stall":
            self.wfile.write(body[:3_000_000])
            self.wfile.flush()
            s.held.wait(60)
            self.close_connection = True
            return
        if fault == "cut":
            body = body[:len(body) // 2]
        if fault == "hold":
            self.wfile.write(body[:3_000_000])
            self.wfile.flush()
            s.held.wait(60)
        try:
            self.wfile.write(body)
        except OSError:
            pass
        self.close_connection = fault in ("cut", "hold", "more", "less", "huge")


class Home:
    """A home of its own, and gemmactl in it."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="gemmad-model-")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "XDG_"))}
        self.environment.update(HOME=self.folder, GEMMAD=GEMMAD, no_proxy="*",
                                XDG_RUNTIME_DIR=self.folder)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def ctl(self, *arguments, **variables):
        return subprocess.run([GEMMACTL, "model", *arguments], env={**self.environment, **variables},
                              capture_output=True, text=True, timeout=300, check=False)

    def path(self, *names):
        return os.path.join(self.folder, ".local/share/gemmad/models", *names)

    def is_whole(self):
        with open(self.path("small/small.gguf"), "rb") as f:
            return f.read() == POCKET


def pulled(server, home, *faults):
    server.faults = list(faults)
    server.requests.clear()
    done = home.ctl("pull", server.url())
    assert done.returncode == 0, done
    assert home.is_whole() and sorted(os.listdir(home.path("small"))) == ["manifest.json", "small.gguf"]
    return done


def whole():
    server = Server()
    with Home() as home:
        pulled(server, home)
        assert json.loads(home.ctl("--json", "list").stdout.splitlines()[-1])["here"] is True
        assert home.ctl("verify", "small").returncode == 0
        n = len(server.requests)
        assert home.ctl("pull", server.url()).returncode == 0 and len(server.requests) == n


def without_length():
    """The end is known by the way in which it is sent, and what breaks off is gone on with."""
    server = Server()
    with Home() as home:
        pulled(server, home, "chunked")
    with Home() as home:
        pulled(server, home, "chunked cut", "chunked")
        assert server.requests[1]["Range"].startswith("bytes=")


def broken_off():
    server = Server()
    for faults in (["cut"], ["cut", "cut", 503, "cut"], [500, 429, "cut"], ["cut", "no ranges"], ["redirect", "cut"]):
        with Home() as home:
            pulled(server, home, *faults)
    ranges = [r.get("Range") for r in server.requests]
    assert ranges[0] is None and any(ranges), ranges


def killed():
    """What came before the kill is not fetched again."""
    server = Server()
    server.held = threading.Event()
    server.faults = ["hold"]
    with Home() as home:
        p = subprocess.Popen([GEMMACTL, "model", "pull", server.url()], env=home.environment,
                             stdout=subprocess.DEVNULL)
        part = home.path("small/small.gguf.part")
        wait_until(lambda: os.path.exists(part) and os.path.getsize(part) >= 2_000_000, "some of it")
        second = home.ctl("pull", server.url())
        assert second.returncode == 5 and "another process" in second.stderr, second
        p.send_signal(signal.SIGKILL)
        p.wait()
        server.held.set()
        n = os.path.getsize(part)
        pulled(server, home)
        assert server.requests[0].get("Range") == f"bytes={n}-", server.requests[0]


def changed_meanwhile():
    server = Server()
    server.held = threading.Event()
    with Home() as home:
        os.makedirs(home.path("small"))
        with open(home.path("small/small.gguf.part"), "wb") as f:
            f.write(b"of an older version")
        with open(home.path("small/small.gguf.part.tag"), "w") as f:
            f.write(f'"older"\n{boot()}\n0\n\n')
        pulled(server, home)
        assert server.requests[0].get("Range") == "bytes=19-", server.requests[0]


def boot():
    with open("/proc/sys/kernel/random/boot_id") as f:
        return f.read().strip()


def leave_part(home, data, synced, boot_id):
    """As a fetch that was ended leaves it."""
    os.makedirs(home.path("small"))
    with open(home.path("small/small.gguf.part"), "wb") as f:
        f.write(data)
    with open(home.path("small/small.gguf.part.tag"), "w") as f:
        f.write(f'"one"\n{boot_id}\n{synced}\n\n')


def power_cut():
    """What was not on the disk for certain when the machine went off is not believed; after a kill all is."""
    server = Server()
    for boot_id, first in ((boot(), 5_000_000), ("another", 1_000_000), ("", 1_000_000)):
        with Home() as home:
            data = POCKET[:5_000_000] if boot_id == boot() else POCKET[:1_000_000] + b"\0" * 4_000_000
            leave_part(home, data, 1_000_000, boot_id)
            pulled(server, home)
            assert server.requests[0].get("Range") == f"bytes={first}-", server.requests[0]
    with Home() as home:  # longer than the file is
        leave_part(home, POCKET + b"more", 0, boot())
        pulled(server, home)


def stalled():
    server = Server()
    server.held = threading.Event()
    with Home() as home:
        server.faults = ["stall"]
        done = home.ctl("pull", server.url(), GEMMACTL_STALL="1")
        assert done.returncode == 0 and home.is_whole(), done
        assert server.requests[1].get("Range"), server.requests
    server.held.set()


def lies():
    """About the length; and what is told to be larger than the disk is not begun."""
    server = Server()
    for fault in ("more", "less"):
        with Home() as home:
            server.faults = [fault]
            done = home.ctl("pull", server.url())
            assert home.is_whole() if done.returncode == 0 else "small.gguf" not in os.listdir(home.path("small")), done
    with Home() as home:
        server.faults = ["huge"]
        done = home.ctl("pull", server.url())
        assert done.returncode == 1 and "the disk has room for" in done.stderr, done
        assert len(done.stderr.splitlines()) == 1 and not os.path.exists(home.path("small/small.gguf")), done
    with Home() as home:
        server.faults = ["redirect"] * 20
        done = home.ctl("pull", server.url())
        assert done.returncode == 3 and len(done.stderr.splitlines()) == 1, done


def told():
    """Every line is JSON, and the last says that the file is there."""
    server = Server()
    with Home() as home:
        done = home.ctl("--json", "pull", server.url())
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0 and lines[-1] == {"file": "small.gguf", "step": "done", "done": len(POCKET),
                                                      "total": len(POCKET)}, done
        assert all(line["step"] in ("fetching", "checking") for line in lines[:-1]), lines


class Proxy(http.server.ThreadingHTTPServer):
    """Is asked for connections, and refuses them."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class ProxyHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        self.server.asked.append(self.path)
        self.send_error(403)


def proxy():
    """The hub, wherever it is, is asked for through the proxy."""
    p = Proxy()
    with Home() as home:
        home.environment.pop("no_proxy")
        through = {"https_proxy": f"http://127.0.0.1:{p.server_port}"}
        for hub, asked in (({}, "huggingface.co:443"), ({"HF_ENDPOINT": "https://hub.invalid"}, "hub.invalid:443")):
            done = home.ctl("pull", "gemma-4-12b-q4_0", **through, **hub)
            assert done.returncode == 3 and p.asked[-1] == asked, (done, p.asked)
            assert len(done.stderr.splitlines()) == 1, done


def wrong_sum():
    server = Server()
    server.published = SUM[::-1]
    with Home() as home:
        server.faults = ["redirect"]
        done = home.ctl("pull", server.url())
        assert done.returncode == 1 and "sha256" in done.stderr and SUM in done.stderr, done
        assert os.listdir(home.path("small")) == []
        server.published = SUM
        pulled(server, home, "redirect")


def wrong_length():
    server = Server()
    with Home() as home:
        server.faults = ["cut", "wrong range"]
        done = home.ctl("pull", server.url())
        assert done.returncode == 3 and "another part" in done.stderr, done
        assert not os.path.exists(home.path("small/small.gguf"))


def no_model():
    """A page, half a model, or nothing is not given the name of a model."""
    server = Server()
    for body in (b"<html>please log in</html>" * 100, POCKET[:-1000], b"GGUF"):
        server.body = body
        with Home() as home:
            done = home.ctl("pull", server.url())
            assert done.returncode == 1, done
            assert len(done.stderr.strip().splitlines()) == 1, done.stderr
            assert not os.path.exists(home.path("small/small.gguf"))


def refused():
    server = Server()
    with Home() as home:
        server.faults = [401]
        done = home.ctl("pull", server.url())
        assert done.returncode == 3 and "HF_TOKEN" in done.stderr, done
        server.faults = [404]
        done = home.ctl("pull", server.url())
        assert done.returncode == 3 and "404" in done.stderr, done
        for wrong in ("http://example.org/x.gguf", "ftp://127.0.0.1/x.gguf"):
            assert home.ctl("pull", wrong).returncode == 3
        for wrong in ("nonesuch", "https://127.0.0.1/x.zip", "https://127.0.0.1/.gguf"):
            assert home.ctl("pull", wrong).returncode == 2
        for wrong in (["pull"], ["list", "x"], ["eat", "x"], ["verify", "nonesuch"], ["use", "nonesuch"],
                      ["remove", "../models"]):
            assert home.ctl(*wrong).returncode == 2, wrong
        for verb in ("verify", "remove"):  # what the list shows is no unknown model
            done = home.ctl(verb, "gemma-4-12b-q4_0")
            assert done.returncode == 2 and "is not here; gemmactl model pull" in done.stderr, done


def token():
    """The token goes to the hub and to nobody else."""
    server, other = Server(), Server()
    hub = server.url("")[:-len("/files/")]
    with Home() as home:
        done = home.ctl("pull", server.url(), HF_TOKEN="secret", HF_ENDPOINT=hub)
        assert done.returncode == 0, done
        assert server.requests[0]["Authorization"] == "Bearer secret"
    with Home() as home:
        home.ctl("pull", other.url(), HF_TOKEN="secret", HF_ENDPOINT=hub)
        assert "Authorization" not in other.requests[0]
    with Home() as home:  # nor to the store that the hub sends on to
        server.faults, server.store = ["redirect"], other
        assert home.ctl("pull", server.url(), HF_TOKEN="secret", HF_ENDPOINT=hub).returncode == 0
        assert server.requests[-1]["Authorization"] == "Bearer secret"
        assert "Authorization" not in other.requests[-1], other.requests[-1]


def begins_like_hub():
    """A host whose name only begins as the hub's is not the hub."""
    server = Server()
    with Home() as home:
        done = home.ctl("pull", server.url(), HF_TOKEN="secret",
                        HF_ENDPOINT=f"http://127.0.0.1:{str(server.server_port)[:-1]}")
        assert done.returncode == 0 and "Authorization" not in server.requests[0], server.requests


def in_parts():
    """A file in parts is fetched by its first, and one part that is missing is named."""
    server = Server()
    names = [f"two-0000{i}-of-00002.gguf" for i in (1, 2)]
    with Home() as home:
        server.bodies = dict(zip(names, split(POCKET)))
        done = home.ctl("pull", server.url(names[0]))
        assert done.returncode == 0, done
        assert sorted(os.listdir(home.path("two"))) == ["manifest.json", *names]
        done = home.ctl("use", "two")
        assert done.returncode == 0, done
        with open(os.path.join(home.folder, ".config/gemmad/gemmad.conf")) as f:
            assert names[0] in f.read()
        os.unlink(home.path("two", names[1]))
        done = home.ctl("use", "two")
        assert done.returncode == 4 and names[1] in done.stderr and "missing" in done.stderr, done
    with Home() as home:
        server.bodies[names[1]] = POCKET  # no part
        done = home.ctl("pull", server.url(names[0]))
        assert done.returncode == 1 and names[1] in done.stderr and not os.path.exists(home.path("two")), done


def split(whole):
    """A GGUF file in two parts: of keys alone, and of tensors."""
    n_tensors, n_keys = struct.unpack_from("<QQ", whole, 8)
    at = 24
    for _ in range(n_keys):
        at = skip_value(whole, *skip_string(whole, at))
    keys = whole[24:at]

    def part(number, tensors, rest):
        own = b"".join(struct.pack("<Q", len(k)) + k + struct.pack("<IH", 2, v)
                       for k, v in ((b"split.no", number), (b"split.count", 2)))
        body = (b"GGUF" + struct.pack("<IQQ", 3, tensors, n_keys + 2) + keys + own) if number == 0 else (
            b"GGUF" + struct.pack("<IQQ", 3, tensors, 2) + own)
        return body + rest

    directory = at
    for _ in range(n_tensors):
        at = skip_string(whole, at)[1] - 4
        n_dims, = struct.unpack_from("<I", whole, at)
        at += 4 + 8 * n_dims + 4 + 8
    data = (at + 31) // 32 * 32
    second = part(1, n_tensors, whole[directory:at])
    return part(0, 0, b""), second + b"\0" * (-len(second) % 32) + whole[data:]


def skip_string(data, at):
    """The kind of the value behind the name at this place, and where it begins."""
    at += 8 + struct.unpack_from("<Q", data, at)[0]
    return struct.unpack_from("<I", data, at)[0], at + 4


SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def skip_value(data, kind, at):
    if kind == 8:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind != 9:
        return at + SIZES[kind]
    kind, n = struct.unpack_from("<IQ", data, at)
    at += 12
    if kind != 8:
        return at + n * SIZES[kind]
    for _ in range(n):
        at += 8 + struct.unpack_from("<Q", data, at)[0]
    return at


def fetched_by_use():
    """What is missing of a known model, up to what is not as published."""
    server = Server()
    hub = server.url("")[:-len("/files/")]
    sizes = {"gemma-4-12b-it-Q8_0.gguf": POCKET}
    with Home() as home:
        server.bodies = sizes
        done = home.ctl("use", "gemma-4-12b-q8_0", HF_ENDPOINT=hub)
        # The projector has another size than published, which is told before the drafter is asked for.
        assert done.returncode == 1 and "175115840 published" in done.stderr, done
        assert "gemma-4-12b-it-Q8_0.gguf" in os.listdir(home.path("gemma-4-12b-q8_0"))


def without_drafter():
    """A known model does without the file that only makes it faster."""
    server = Server()
    nothing = b"GGUF" + struct.pack("<IQQ", 3, 0, 0)
    server.bodies = {"mmproj-BF16.gguf": nothing + bytes(175115840 - len(nothing))}
    server.missing = {"mtp-gemma-4-12b-it.gguf"}
    with Home() as home:
        done = home.ctl("pull", "gemma-4-12b-q8_0", HF_ENDPOINT=server.url("")[:-len("/files/")])
        assert done.returncode == 0 and "going on without a drafter" in done.stderr, done
        assert sorted(os.listdir(home.path("gemma-4-12b-q8_0"))) == ["gemma-4-12b-it-Q8_0.gguf", "manifest.json",
                                                                     "mmproj-BF16.gguf"]


def known():
    """A name of the catalogue is looked for at the hub, with its size known before."""
    server = Server()
    hub = server.url("")[:-len("/files/")]
    with Home() as home:
        done = home.ctl("pull", "gemma-4-12b-q4_0", HF_ENDPOINT=hub)
        assert done.returncode == 1 and "6975879296 published" in done.stderr, done
        assert "needs 7.9: " in done.stdout and "GiB" in done.stdout, done
    assert len(server.requests) == 1


def used():
    server = Server()
    with Home() as home:
        pulled(server, home)
        config = os.path.join(home.folder, ".config/gemmad/gemmad.conf")
        os.makedirs(os.path.dirname(config))
        with open(config, "w") as f:
            f.write("# mine\n[Store]\nKeepDays=7\n")
        assert home.ctl("use", "small").returncode == 0
        with open(config) as f:
            written = f.read()
        assert "# mine" in written and "KeepDays=7" in written
        assert f"Path={home.path('small/small.gguf')}" in written, written
        shown = subprocess.run([GEMMAD, "--config", config, "--show-config"], capture_output=True, text=True)
        assert home.path("small/small.gguf") in shown.stdout, shown
        assert "in use" in home.ctl("remove", "small").stderr
        with open(home.path("small/small.gguf"), "r+b") as f:
            f.seek(10_000_000)
            f.write(b"damage")
        assert home.ctl("verify", "small").returncode == 4
        with open(home.path("small/small.gguf"), "r+b") as f:
            f.truncate(1_000_000)
        assert home.ctl("use", "small").returncode == 4
        assert home.ctl("use", "pocket").returncode == 0
        assert home.ctl("remove", "small").returncode == 0 and not os.path.exists(home.path("small"))


def edited():
    """A manifest that somebody has edited leads nowhere else, not even for what is to be removed."""
    server = Server()
    with Home() as home:
        pulled(server, home)
        victim = os.path.join(home.folder, "victim")
        manifest = home.path("small/manifest.json")
        with open(manifest) as f:
            written = json.load(f)
        for name in ("../../../../../victim", victim, "..", "", "manifest.json", "a/b"):
            for change in ({"files": {**written["files"], name: written["files"]["small.gguf"]}},
                           {"name": "../" * 5, "files": {name: {"role": "model"}}}):
                with open(victim, "w") as f:
                    f.write("mine")
                with open(manifest, "w") as f:
                    json.dump({**written, **change}, f)
                for verb in ("remove", "verify", "use"):
                    done = home.ctl(verb, "small")
                    assert done.returncode == 4 and len(done.stderr.splitlines()) == 1, done
                    assert manifest in done.stderr and f"'{name}'" in done.stderr, done
                assert home.ctl("list").returncode == 0
                assert os.path.exists(victim) and home.is_whole()
        for text in ("", "[]", "{}", '{"files": 7}', '{"files": {"small.gguf": 1}}', "{"):
            with open(manifest, "w") as f:
                f.write(text)
            done = home.ctl("remove", "small")
            assert done.returncode == 4 and len(done.stderr.splitlines()) == 1, done
        # A name that was changed leads nowhere else either.
        with open(manifest, "w") as f:
            json.dump({**written, "name": "../../../../.."}, f)
        assert home.ctl("verify", "small").returncode == 0
        assert home.ctl("remove", "small").returncode == 0 and not os.path.exists(home.path("small"))
        assert os.path.exists(victim)


def secret():
    """The token is not told to the program that looks at the file."""
    server = Server()
    with Home() as home:
        spy = os.path.join(home.folder, "spy")
        with open(spy, "w") as f:
            f.write(f'#!/bin/sh\nenv > "{home.folder}/seen"\nexec "{GEMMAD}" "$@"\n')
        os.chmod(spy, 0o700)
        done = home.ctl("pull", server.url(), HF_TOKEN="secret", HF_TOKEN_OTHER="told", GEMMAD=spy)
        assert done.returncode == 0, done
        with open(os.path.join(home.folder, "seen")) as f:
            seen = f.read()
        assert "HF_TOKEN=" not in seen and "secret" not in seen and "HF_TOKEN_OTHER=told" in seen, seen


def by_path():
    """Files that are here already, whatever they are called, and of other writers."""
    with Home() as home:
        blob = os.path.join(home.folder, "sha256-e70b0e5cd803")
        with open(blob, "wb") as f:
            f.write(POCKET)
        done = subprocess.run([GEMMACTL, "model", "use", "./sha256-e70b0e5cd803"], env=home.environment,
                              cwd=home.folder, capture_output=True, text=True)
        assert done.returncode == 0, done
        with open(os.path.join(home.folder, ".config/gemmad/gemmad.conf")) as f:
            assert f"Path={blob}\n" in f.read()
        golden = os.path.join(SOURCE, "tests/golden")
        done = home.ctl("use", f"{golden}/model-b.gguf", f"{golden}/mmproj-b.gguf")
        assert done.returncode == 0, done
        for wrong in ([f"{golden}/model-b.gguf", f"{golden}/model-a.gguf"], ["/nowhere.gguf"],
                      [f"{golden}/mmproj-b.gguf"]):
            done = home.ctl("use", *wrong)
            assert done.returncode == 4 and len(done.stderr.splitlines()) == 1, done
        assert home.ctl("use", "pocket", f"{golden}/mmproj-b.gguf").returncode == 2


def taken_at_once():
    """By a daemon that runs; and when it can not load it, all is as it was."""
    server = Server()
    with open(os.path.join(SOURCE, "tests/golden/model-a.gguf"), "rb") as f:
        server.body = f.read()
    with Daemon("[Model]\nMaxTokens=4\n") as d:
        config = os.path.join(d.folder, "config/gemmad/gemmad.conf")
        os.makedirs(os.path.dirname(config))
        os.rename(d.config, config)
        d.stop()
        d.arguments = []
        d.environment.update(GEMMAD=GEMMAD, no_proxy="*")
        d.start()
        assert d.ctl("model", "pull", server.url()).returncode == 0
        done = d.ctl("model", "use", "small")
        assert done.returncode == 0 and done.stdout.endswith("golden-a answers now\n"), done
        assert "golden-a" in d.ctl("status").stdout
        done = d.ctl("model", "use", "pocket")
        assert done.returncode == 0 and "gemmad pocket answers now" in done.stdout, done

        with open(config, "a") as f:
            f.write("[Prompt]\nSystem=" + "long " * 2000 + "\n")
        d.stop()
        d.start()  # which may take a READY=1 of before for its own
        wait_until(lambda: "gemmad pocket" in d.ctl("status").stdout, "the daemon")
        with open(config) as f:
            before = f.read()
        done = d.ctl("model", "use", "small")
        assert done.returncode == 1 and "System text does not fit" in done.stderr, done
        assert len(done.stderr.splitlines()) == 1, done.stderr
        with open(config) as f:
            assert f.read() == before
        assert "gemmad pocket" in d.ctl("status").stdout


tap.rule("a model is fetched, known by its sum, and not fetched again", whole)
tap.rule("a file whose length is not told is fetched", without_length)
tap.rule("what breaks off is gone on with", broken_off)
tap.rule("a killed fetch is gone on with, and two do not disturb one another", killed)
tap.rule("a file that changed on the server is begun anew", changed_meanwhile)
tap.rule("after a power cut only what was on the disk is gone on with", power_cut)
tap.rule("a server that falls silent is asked again", stalled)
tap.rule("a server that lies about the length is found out", lies)
tap.rule("progress is told as JSON", told)
tap.rule("a proxy is asked", proxy)
tap.rule("a file with another sum than published is thrown away", wrong_sum)
tap.rule("a server that sends another part is not believed", wrong_length)
tap.rule("what is no whole model gets no name", no_model)
tap.rule("refusals are told in one line", refused)
tap.rule("the token goes to the hub only", token)
tap.rule("... nor to a host that only begins like it", begins_like_hub)
tap.rule("a file in parts is fetched whole", in_parts)
tap.rule("a known model is fetched when it is to be used", fetched_by_use)
tap.rule("... and does without what only makes it faster", without_drafter)
tap.rule("a known name has its size checked first", known)
tap.rule("a model is used, and the configuration around it kept", used)
tap.rule("a manifest that was edited leads nowhere else", edited)
tap.rule("the token is not told to who looks at a file", secret)
tap.rule("files are used by their paths", by_path)
tap.rule("a running daemon takes a model at once, or keeps the one it has", taken_at_once)
tap.done()
