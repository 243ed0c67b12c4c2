"""An emulated GitHub: a stateful emulator, before it a proxy that checks every request against GitHub's published API
description, and before that one of our own which gives tokens their permissions."""

import http.client
import http.server
import json
import pathlib
import re
import secrets
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = "/repos/acme/candle"
# What a job's token must be allowed: GitHub's reference says it for each operation. The first that fits counts.
NEEDED = [
    (r"GET /actions/runs/\d+(/artifacts)?", "actions", "read"),
    (r"GET /(tarball|compare|git|releases|contents)/.*", "contents", "read"),
    (r"(POST|PUT) /(git|releases|contents)\b.*", "contents", "write"),
    (r"GET /(pulls|issues/\d+/comments|issues/comments)\b.*", "pull-requests", "read"),
    (r"(POST|PATCH|DELETE) /(pulls|issues/\d+/comments|issues/comments)\b.*", "pull-requests", "write"),
    (r"GET /(commits/\w+/check-runs|check-runs)\b.*", "checks", "read"),
    (r"(POST|PATCH) /check-runs\b.*", "checks", "write"),
    (r"GET /collaborators/.*", "metadata", "read"),
]
# These aren't in the description that the proxy has: only the play of GitHub's command line asks for them.
UNDESCRIBED = re.compile(r"/(git|releases|contents)\b")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class GitHub:
    def __init__(self, scratch, tools):
        # Of this run alone: another may go on beside it.
        self.canary = f"ghs_canary{secrets.token_hex(6)}"
        self.scratch, self.tokens, self.aliases, self.requests = scratch, {}, {}, []
        self.emulator, self.checker, self.port = free_port(), free_port(), free_port()
        node, modules = str(tools / "bin/node"), tools / "node_modules"

        def start(name, *command):
            with open(scratch / f"{name}.log", "w") as log:
                return subprocess.Popen([node, *map(str, command)], stdout=log, stderr=log, cwd=scratch)
        self.started = [
            start("emulator", modules / ".bin/emulate", "start", "--service", "github", "--port", self.emulator,
                  "--seed", HERE / "seed.yaml"),
            start("checker", modules / ".bin/prism", "proxy", "-h", "127.0.0.1", "-p", self.checker,
                  tools / "slim.json", f"http://127.0.0.1:{self.emulator}"),
        ]
        self.wait_for(self.emulator)
        self.checker_is_ready = False
        gate = type("Gate", (Gate,), {"github": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), gate)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        for process in self.started:
            process.terminate()

    def wait_for(self, port):
        for _ in range(240):
            try:
                return self.call("GET", "/user", port=port)
            except OSError:
                time.sleep(0.25)
        raise SystemExit(f"nothing answers on port {port}: {(self.scratch / 'checker.log').read_text()}")

    def call(self, method, path, body=None, token="ada-token", port=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port or self.emulator}{path}", method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"authorization": f"Bearer {token}", "content-type": "application/json", "user-agent": "e2e"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def token(self, permissions):
        """A token as a job gets it."""
        token = f"{self.canary}n{len(self.tokens)}"
        self.tokens[token] = permissions
        return token

    def pull_request(self, branch, head=None, base=None):
        """A new pull request of the branch; `head` and `base` are the commits that it has in the test's own clone."""
        main = self.call("GET", f"{REPOSITORY}/git/ref/heads/main")["object"]["sha"]
        self.call("POST", f"{REPOSITORY}/git/refs", {"ref": f"refs/heads/{branch}", "sha": main})
        self.call("PUT", f"{REPOSITORY}/contents/{branch}.txt", {"message": branch, "content": "eA==", "branch": branch})
        pull = self.call("POST", f"{REPOSITORY}/pulls", {"title": branch, "head": branch, "base": "main"})
        if head:
            self.aliases |= {head: pull["head"]["sha"], base: pull["base"]["sha"]}
            pull["head"]["sha"], pull["base"]["sha"] = head, base
        return pull

    def comments(self, pull):
        """Those of bench-diff on the pull request."""
        found = self.call("GET", f"{REPOSITORY}/issues/{pull['number']}/comments?per_page=100")
        return [c["body"] for c in found if c["body"].startswith("<!-- bench-diff") and c["user"]["login"] != "mallory"]

    def comment(self, pull, body, token):
        self.call("POST", f"{REPOSITORY}/issues/{pull['number']}/comments", {"body": body}, token=token)

    def check_runs(self, pull):
        sha = self.aliases.get(pull["head"]["sha"], pull["head"]["sha"])
        return [(run["name"], run["conclusion"])
                for run in self.call("GET", f"{REPOSITORY}/commits/{sha}/check-runs")["check_runs"]]

    def violations(self):
        """Lines of the checker's log about a request; what the emulator answers is not our business."""
        log = (self.scratch / "checker.log").read_text()
        return [line for line in log.splitlines() if "iolation" in line and "request" in line.lower()]


class Gate(http.server.BaseHTTPRequestHandler):
    """Refuses what the token may not do, as GitHub does, and passes on the rest."""

    def refusal(self, path):
        permissions = self.github.tokens.get(self.headers.get("authorization", "").split(" ")[-1])
        if permissions is None:
            return 401, "Bad credentials"
        for request, name, level in NEEDED:
            if re.fullmatch(request, f"{self.command} {path}"):
                granted = {"metadata": "read", **permissions}.get(name, "none")
                if granted == "write" or granted == level:
                    return None
                break
        # Among them GET /user, which no job's token may ask.
        return 403, "Resource not accessible by integration"

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.removeprefix(REPOSITORY)
        refused = self.refusal(path.split("?")[0])
        self.github.requests.append((self.command, path, refused))
        if refused:
            return self.answer(refused[0], json.dumps({"message": refused[1]}).encode())
        if path.startswith(("/actions/", "/tarball/")):
            return self.answer(200, b"{}")
        github = self.github
        # It takes seconds to start, and not every scenario asks for it.
        if not github.checker_is_ready:
            github.wait_for(github.checker)
            github.checker_is_ready = True
        connection = http.client.HTTPConnection(
            "127.0.0.1", github.emulator if UNDESCRIBED.match(path) else github.checker, timeout=30)
        headers = {"authorization": "Bearer actions-token", "user-agent": "e2e", "accept": "application/json"}
        if body:
            headers["content-type"] = self.headers.get("content-type", "application/json")
        connection.request(self.command, self.translate(self.path, dict(github.aliases)),
                           self.translate(body.decode(), github.aliases).encode() or None, headers)
        answer = connection.getresponse()
        back = {emulated: own for own, emulated in github.aliases.items()}
        self.answer(answer.status, self.translate(answer.read().decode(), back).encode())

    @staticmethod
    def translate(text, names):
        """The emulator makes its own commits: they are called as in the test's clone."""
        for old, new in names.items():
            text = text.replace(old, new)
        return text

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_request

    def log_message(self, *_):
        pass
