"""What does a test with programs that we did not write need? Those programs, the built binary, a project of its own, and checks that say what went wrong.

Installed programs are kept under target/interop, by name and pinned version. Nothing is ever skipped: what cannot be installed fails the test.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve()
BINARY = pathlib.Path(os.environ.get("PROMPTKEEL", TARGET / "debug" / "promptkeel")).resolve()


class Failed(Exception):
    """A check that did not hold."""


def check(holds, what, *facts):
    """Fails with `what` and the facts that a person needs to see."""
    if not holds:
        raise Failed("\n".join([what, *(f"    {fact}" for fact in facts)]))


def equal(got, wanted, what):
    if isinstance(got, dict) and isinstance(wanted, dict):
        differing = [key for key in {**wanted, **got} if got.get(key, ...) != wanted.get(key, ...)]
        got, wanted = {key: got.get(key) for key in differing}, {key: wanted.get(key) for key in differing}
    check(got == wanted, what, f"wanted {wanted!r}", f"got    {got!r}")


def step(what):
    print(f"  {time.monotonic() - BEGUN:5.1f}s  {what}", flush=True)


BEGUN = time.monotonic()


def main(test):
    """Runs the test; one line on what failed, not a stack of calls."""
    try:
        check(BINARY.is_file(), f"there is no {BINARY}: `cargo build` first, or name the binary in PROMPTKEEL")
        test()
    except Failed as failure:
        sys.exit(f"FAILED: {failure}")
    step("all of it holds")


# ---- programs of others ----


def installed(name, pins, install):
    """A folder in which `install` has put what `pins` say; kept for the next time once it succeeded."""
    pinned = hashlib.sha256(json.dumps(pins).encode()).hexdigest()[:12]
    folder = TARGET / "interop" / f"{name}-{pinned}"
    if not (folder / "complete").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            install(folder)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Failed(f"could not install {', '.join(pins)}: {error}") from error
        (folder / "complete").write_text("\n".join(pins))
    return folder


def python_with(name, *pins):
    """An interpreter of a virtual environment that has these packages of PyPI."""

    def install(folder):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, stdout=sys.stderr)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *pins], check=True, stdout=sys.stderr)

    return installed(name, list(pins), install) / "bin" / "python"


def run_inside(name, *pins):
    """Starts the calling script again, inside such an environment; returns there."""
    if os.environ.get("PROMPTKEEL_INTEROP_INSIDE") == name:
        return
    try:
        python = python_with(name, *pins)
    except Failed as failure:
        sys.exit(f"FAILED: {failure}")
    os.execve(python, [str(python), *sys.argv], os.environ | {"PROMPTKEEL_INTEROP_INSIDE": name})


def npm_package(name, *pins):
    """A folder whose node_modules has these packages of npm."""

    def install(folder):
        (folder / "package.json").write_text('{"private": true}')
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", *pins], cwd=folder, check=True, stdout=sys.stderr)

    return installed(name, list(pins), install)


# ---- servers ----


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(method, url, body=None):
    """JSON over HTTP; statuses from 400 fail."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise Failed(f"{method} {url} answered {error.code}: {error.read()[:500]!r}") from error


@contextlib.contextmanager
def serving(command, alive, folder=None):
    """A server that answers at the URL `alive`; ended with the block. Any answer counts as alive, also a refusal."""
    with tempfile.TemporaryFile() as log:
        environment = {name: value for name, value in os.environ.items() if name != "PROMPTKEEL_INTEROP_INSIDE"}
        process = subprocess.Popen([str(part) for part in command], cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)

        def said():
            log.seek(0)
            return log.read().decode(errors="replace")[-3000:]

        try:
            deadline = time.monotonic() + 30
            while True:
                check(process.poll() is None, f"{command[0]} ended with {process.poll()} instead of serving", said())
                check(time.monotonic() < deadline, f"{command[0]} does not answer at {alive} after 30 seconds", said())
                try:
                    urllib.request.urlopen(alive, timeout=2).close()
                    break
                except urllib.error.HTTPError:
                    break
                except OSError:
                    time.sleep(0.05)
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=10)


# ---- our side ----


class Ran:
    """What a command came to."""

    def __init__(self, code, out, err, report):
        self.code, self.out, self.err, self.report = code, out, err, report

    def __repr__(self):
        return f"exit {self.code}\n{self.out}\n{self.err}"

    def cells(self):
        """Address -> cell of the run report."""
        return {"::".join([a["suite"], a["case"], a["model"]]): cell for cell in self.report["cells"] for a in [cell["address"]]}

    def verdicts(self):
        return {address: cell["verdict"] for address, cell in self.cells().items()}


class Project:
    """A project in a temporary folder, and what a person does in it."""

    def __init__(self, folder, **variables):
        self.folder = pathlib.Path(folder)
        self.variables = variables

    def write(self, path, text):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def edit(self, path, old, new):
        text = (self.folder / path).read_text(encoding="utf-8")
        check(text.count(old) == 1, f"{path} holds {old!r} {text.count(old)} times")
        self.write(path, text.replace(old, new))

    def files(self, pattern="**/*"):
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in sorted(self.folder.glob(pattern)) if path.is_file()}

    def environment(self):
        """Nobody's, so that no variable of the machine decides."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "NO_COLOR": "1"} | self.variables

    def command(self, *arguments):
        done = subprocess.run([str(BINARY), *arguments], cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=120)
        return Ran(done.returncode, done.stdout, done.stderr, None)

    def ended_by(self, number, when, *arguments):
        """Runs the binary, sends it this signal as soon as `when` holds, and says what it ended with."""
        process = subprocess.Popen([str(BINARY), *arguments], cwd=self.folder, env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not when():
            check(process.poll() is None, f"it ended with {process.returncode} before the signal")
            check(time.monotonic() < deadline, "nothing happened for a minute")
            time.sleep(0.01)
        process.send_signal(number)
        return process.wait(timeout=60)

    def run(self, *arguments):
        """`promptkeel run` with a JSON and a JUnit report; the totals must add up, whatever it came to."""
        for old in ["run.json", "junit.xml"]:
            (self.folder / old).unlink(missing_ok=True)
        ran = self.command("run", "--json", "run.json", "--junit", "junit.xml", *arguments)
        check((self.folder / "run.json").is_file(), "no report was written", ran)
        ran.report = json.loads((self.folder / "run.json").read_text())
        totals = ran.report["totals"]
        equal(totals["planned"], totals["passed"] + totals["failed"] + totals["errored"] + totals["skipped"], "planned is not the sum of the verdicts")
        equal(len(ran.report["cells"]), totals["planned"], "not every planned cell is in the report")
        return ran
