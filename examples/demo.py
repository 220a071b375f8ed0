# SPDX-License-Identifier: Apache-2.0
"""The whole story in a minute: record a run, look at it, verify it, try to cheat, leave the key to
a daemon, record agents as they are, hold a collector to its word, check what a solver left, and put
a bond behind it on a chain.

    make demo                      in a temporary directory, which is removed
    make demo ARGS=DIRECTORY       the files stay there, to go on with by hand

Every command that is printed is run as printed. The exit code is 0 only if each of them ended as
this file expects: a verifier that lets one of the forgeries pass makes the demo fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent import Agent, work_on_files

# The commands of this environment, whatever is on the PATH. At Ctrl-C the shell ends after them:
# without a trap it would end at once, and leave them behind.
COMMANDS = """\
trap 'exit 130' INT
python() { "$PYTHON" "$@"; }
tally() { python -m tallystick "$@"; }
"""

KEYLESS = """\
from tallystick import DaemonEmitter

with DaemonEmitter(channel="demo") as emitter:
    emitter.emit("read_file", input={"path": "plan.txt"})
    told = emitter.emit("bash", input={"command": "rm -rf desk"}, ack=True)
print("stored as", told.sequence, "of", told.chain_id)
"""


INTENT = """\
{"intentVersion": "1.0.0", "requester": "alice", "createdAt": "2026-01-02T03:00:00Z",
 "jobType": "SAFE_REPORT", "inputs": {"subject": "shopping", "data": {"milk": 2, "bread": 1}}}
"""


@contextmanager
def waited_for(process: subprocess.Popen[str]) -> Iterator[None]:
    """Wait for a process's own end also at Ctrl-C, where Python waits for a quarter of a second."""
    try:
        yield
    finally:
        process.wait()


class Story:
    """Runs commands as a reader would, prints them, and keeps count of surprises."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.outcomes = 0
        self.surprises: list[str] = []
        # As in a login session of somebody who has nothing set: all files stay in the directory.
        ours = ("AGENTRECEIPTS_", "TALLY_")
        inherited = {name: os.environ[name] for name in os.environ if not name.startswith(ours)}
        (place / "run").mkdir(mode=0o700)
        self.environment = {
            **inherited,
            "PYTHON": sys.executable,
            "XDG_DATA_HOME": str(place.resolve()),
            "XDG_RUNTIME_DIR": str(place.resolve() / "run"),
        }

    def tell(self, text: str) -> None:
        """Say what comes next."""
        print(f"\n{text}", flush=True)

    def run(self, command: str, *, code: int = 0, shows: str = "") -> None:
        """Run one command, and compare its exit code and what it prints with what should be."""
        print(f"\n$ {command}", flush=True)
        shell = subprocess.Popen(
            ["sh", "-c", COMMANDS + command],
            cwd=self.place,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with shell, waited_for(shell):
            printed, _ = shell.communicate()
        print(printed, end="")
        if shell.returncode or code:
            print(f"exit {shell.returncode}")
        self.outcomes += 1
        if shell.returncode != code:
            self.surprises.append(f"`{command}` ended with {shell.returncode}, not {code}")
        if shows not in printed:
            self.surprises.append(f"`{command}` does not say {shows}")

    @contextmanager
    def serve(self, *arguments: str, tells: str = "http") -> Iterator[str]:
        """Run a service in the background, and give the address that it tells."""
        print(f"\n$ tally {' '.join(arguments)} 2> service.log &", flush=True)
        with open(self.place / "service.log", "wb") as events:
            service = subprocess.Popen(
                [sys.executable, "-m", "tallystick", *arguments],
                cwd=self.place,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=events,
                text=True,
            )
        with service, waited_for(service):
            try:
                assert service.stdout is not None
                told = service.stdout.readline()
                print(told, end="")
                if tells not in told:
                    self.surprises.append((self.place / "service.log").read_text())
                yield told.rpartition(" ")[2].strip()
            finally:
                service.terminate()

    def end(self) -> int:
        """Say how many outcomes were as expected; return the exit code."""
        for surprise in self.surprises:
            print(f"NOT AS EXPECTED: {surprise}")
        if not self.surprises:
            self.tell(f"All {self.outcomes} outcomes were as expected.")
        return 1 if self.surprises else 0


def play(place: Path) -> int:
    """Play the story in a directory; return the exit code."""
    story = Story(place)
    story.tell("An agent gets a key. The public half goes to whoever wants to verify.")
    story.run("tally keygen")

    story.tell("The agent works. Each action leaves a signed receipt that names the one before.")
    work_on_files(Agent(place))
    story.run("tally show chain.jsonl", shows="agent_receipts.agent_end")
    story.run("tally verify chain.jsonl --key signing.key.pub", shows="verified: 9 receipts")

    story.tell("Somebody changes one byte: the agent shall have read other notes.")
    story.run("sed '4s/notes/motes/' chain.jsonl > forged.jsonl")
    story.run("tally verify forged.jsonl --key signing.key.pub", code=1, shows="SIGNATURE_INVALID")

    story.tell("Somebody takes the failed read out.")
    story.run("sed 7d chain.jsonl > gap.jsonl")
    story.run("tally verify gap.jsonl --key signing.key.pub", code=1, shows="CHAIN_GAP")

    story.tell(
        "Somebody cuts the end off. What is left is in order, so the chain alone can't tell:\n"
        "whoever knows that it was closed, or how long it was, says so."
    )
    story.run("head -n 7 chain.jsonl > cut.jsonl")
    story.run("tally verify cut.jsonl --key signing.key.pub", shows="verified: 7 receipts")
    story.run(
        "tally verify cut.jsonl --key signing.key.pub --require-terminal",
        code=1,
        shows="EXPECTED_TERMINAL",
    )
    story.run(
        "tally verify cut.jsonl --key signing.key.pub --expect-length 9",
        code=1,
        shows="EXPECTED_LENGTH",
    )

    play_daemon(story)
    play_collector(story)
    play_solver(story)
    play_chain(story)

    story.tell("What does a code mean?")
    story.run("tally explain CHAIN_GAP", shows="missing")
    return story.end()


def play_daemon(story: Story) -> None:
    """Let a daemon sign: the agent has no key, and does not choose how risky its actions are."""
    story.tell(
        "An agent that has a key and was taken over signs what it likes. So let a daemon hold\n"
        "key and store (at best as another user): the agent tells it, over a socket, what it does."
    )
    story.run("tally daemon init", shows="signing.key  signs")
    (story.place / "keyless.py").write_text(KEYLESS)
    story.run("cat keyless.py")
    with story.serve("daemon", "run", tells="events.sock"):
        story.run("python keyless.py", shows="stored as 2 of")
        story.tell("The agent said nothing of risk. The daemon saw for itself.")
        story.run("tally list", shows="critical")
        play_channels(story)
    story.tell("When it ends it closes the chain. Who may read the store verifies it.")
    story.run(
        "tally verify --store agent-receipts/receipts.db --key agent-receipts/signing.key.pub",
        shows="verified: 7 receipts",
    )


def play_channels(story: Story) -> None:
    """Record agents that know nothing of this: a proxy before a server, a hook of their host."""
    for name in ("mcp_server.py", "calls.jsonl", "rules.yaml", "hook_host.py"):
        shutil.copy(Path(__file__).with_name("channels") / name, story.place)
    story.tell(
        "Agents need not know of any of this. A proxy stands between a client and its MCP server,\n"
        "neither of which is changed. What the rules forbid never reaches the server."
    )
    story.run("cat rules.yaml calls.jsonl")
    story.run(
        'tally mcp run --name files --rules rules.yaml -- "$PYTHON" mcp_server.py < calls.jsonl',
        shows="blocked by rule nothing-is-deleted",
    )
    story.tell("Claude Code calls a hook. Here its settings are a file of the demo, and we are it.")
    socket = "run/agentreceipts/events.sock"
    story.run(
        f"tally hook install claude-code --settings claude.json --socket {socket} | tail -n 2",
        shows="wrote claude.json",
    )
    story.run("python hook_host.py")
    story.tell("Before each call a receipt, one of what came of it, and one of what was denied.")
    story.run("tally list --limit 4", shows="failure, denied")


def play_collector(story: Story) -> None:
    """Deliver to a collector, and hold it to its word."""
    story.tell(
        "A collector stores receipts that it can't sign. Nobody has to trust it: for each receipt\n"
        "it gives a promise, its signed word that the receipt is in a log that everybody can check."
    )
    with story.serve("collector", "run", "--addr", "127.0.0.1:0") as url:
        play_function(story, url)
        story.tell(
            "Whoever has no more than a part of the chain learns from the log that there is more."
        )
        story.run("head -n 2 collected.jsonl > part.jsonl")
        story.run(
            f"tally verify part.jsonl --key signing.key.pub --log {url}",
            code=1,
            shows="LOG_HOLDS_MORE",
        )
        story.tell(
            "The function kept what it was promised. A monitor recomputes the log: is it there?"
        )
        story.run(
            f"sleep 2; tally log monitor {url} --vkey collector.keys/log.vkey --state seen "
            "--promises promises --once",
            shows="3 promises kept",
        )
    story.tell("The store is lost. The log has given its word, so it does not begin again.")
    story.run("rm collector.db*")
    story.run("tally collector run --addr 127.0.0.1:0", code=1, shows="already given out")


def play_function(story: Story, url: str) -> None:
    """Be killed in the middle of a call; what was delivered is there."""
    story.tell(
        "A function in the cloud signs by itself, and delivers each receipt as it works. This one\n"
        "is killed in the middle of a call, between its beginning and its result."
    )
    shutil.copy(Path(__file__).with_name("function.py"), story.place)
    story.run("cat function.py")
    story.run(
        f'AGENTRECEIPTS_COLLECTOR_URL={url} AGENTRECEIPTS_KEY="$(cat signing.key)" '
        "python function.py",
        code=137,
    )
    story.run(f"tally export {url} --out collected.jsonl", shows="3 receipts")
    story.run("tally show collected.jsonl", shows="pending")
    story.run(
        "tally verify collected.jsonl --key signing.key.pub", shows="incomplete_tool_roundtrip"
    )


def play_solver(story: Story) -> None:
    """Have a solver run an intent, and check what it left with its public key alone."""
    story.tell(
        "A solver is asked for a report. It decides, runs, hashes what the run left, and signs\n"
        "all of it: intent, policy, decision, receipts and files hang on one small manifest."
    )
    (story.place / "intent.json").write_text(INTENT)
    run = "tally solver run intent.json --home solver --key signing.key"
    story.run(run, shows="SUCCESS")
    story.run("cp solver/runs/*/bundle.tally run.tally")
    story.run("tally evidence verify run.tally --key signing.key.pub", shows="verified: run")
    story.tell("A stranger without our software unpacks it, and asks sha256sum.")
    story.run("mkdir plain && tar xf run.tally -C plain")
    story.run("cd plain && sha256sum -c evidence/SHA256SUMS", shows="report.md: OK")
    story.tell("Somebody changes one byte of the report.")
    story.run(
        "sed 's/# Report/# Resort/' run.tally > forged.tally; cmp run.tally forged.tally", code=1
    )
    story.run(
        "tally evidence verify forged.tally --key signing.key.pub",
        code=1,
        shows="EVIDENCE_ARTIFACT_CHANGED",
    )
    story.tell("The same intent does not run twice. The refusal is signed, too.")
    story.run(run, code=1, shows="REFUSED")


def play_chain(story: Story) -> None:
    """Post what a run left on a chain of this process's own, and post a lie."""
    story.tell(
        "A signature says who. A post on a chain adds when, and puts money behind it. Here\n"
        "the chain is a file. examples/on_chain.py posts once honestly, and cheats once."
    )
    shutil.copy(Path(__file__).with_name("on_chain.py"), story.place)
    story.run("python on_chain.py chain", shows="cheat   slashed")


def main() -> int:
    """Play in the directory that was named, or in a temporary one."""
    if len(sys.argv) > 1:
        place = Path(sys.argv[1])
        if place.exists():
            print(f"demo: {place} is there already; name a new directory", file=sys.stderr)
            return 2
        place.mkdir(parents=True)
        return play(place)
    with tempfile.TemporaryDirectory(prefix="tally-demo-") as folder:
        code = play(Path(folder))
    print("To go on by hand, keep the files: make demo ARGS=DIRECTORY")
    return code


if __name__ == "__main__":
    try:
        code = main()
    except KeyboardInterrupt:  # what runs in the background was ended on the way here
        code = 130
    sys.exit(code)
