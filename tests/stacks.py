"""A whole stack as a person runs it, and a client that talks to it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

READY_TIMEOUT_S = 180
FAST_RECOVERY = {
    "GRAY2HUE_LEASE_S": "4",
    "GRAY2HUE_HEARTBEAT_S": "1",
    "GRAY2HUE_SWEEP_INTERVAL_S": "1",
    "GRAY2HUE_RESEND_AFTER_S": "4",
}


@dataclass
class RunningStack:
    """`gray2hue up` in a folder of its own."""

    data_dir: Path
    port: int
    wait_until: Callable[..., Any]
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[str] | None" = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output_path(self) -> Path:
        return self.data_dir / "up.txt"

    @property
    def setup_link(self) -> str:
        found = re.search(r"http\S+/setup/\S+", self.output_path.read_text())
        assert found, self.output_path.read_text()
        return found[0]

    @property
    def full_environment(self) -> dict[str, str]:
        # Nice to whatever else runs on the machine, a trainer could wait longer than any test does.
        mine = {
            "GRAY2HUE_DATA_DIR": str(self.data_dir),
            "GRAY2HUE_PORT": str(self.port),
            "GRAY2HUE_TRAINING_NICENESS": "0",
        }
        return {**os.environ, **mine, **self.environment}

    def start(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self.output_path.open("w") as output:
            command = [sys.executable, "-m", "cli", "up"]
            self.process = subprocess.Popen(
                command, env=self.full_environment, stdout=output, stderr=subprocess.STDOUT, text=True
            )
        self.wait_until(self._ready, READY_TIMEOUT_S, "the stack's readiness")

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output_path.read_text()
        return "Ctrl-C stops everything" in self.output_path.read_text()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)

    def client(self) -> httpx.Client:
        key = (self.data_dir / "run" / "cli.key").read_text().strip()
        return httpx.Client(base_url=self.address, headers={"Authorization": f"Bearer {key}"}, timeout=60)

    def pids(self) -> dict[str, int]:
        """The leaders of the stack's processes by name."""
        noted = json.loads((self.data_dir / "run" / "pids.json").read_text())
        return {entry["name"]: entry["pid"] for entry in noted}

    def submit(self, client: httpx.Client, name: str, content: bytes) -> str:
        headers = {"Content-Type": "application/octet-stream"}
        answer = client.post("/api/v1/jobs", params={"filename": name}, content=content, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def finished(self, client: httpx.Client, job_id: str, timeout_s: float = 240) -> dict[str, Any]:
        """The job, once it is over."""

        def over() -> dict[str, Any] | None:
            job: dict[str, Any] = client.get(f"/api/v1/jobs/{job_id}").raise_for_status().json()
            return job if job["finished_at"] else None

        found: dict[str, Any] = self.wait_until(over, timeout_s, f"the end of job {job_id}")
        return found

    def photos(self, client: httpx.Client, job_id: str) -> list[dict[str, Any]]:
        """All files of the job, page by page."""
        photos: list[dict[str, Any]] = []
        url: str | None = f"/api/v1/jobs/{job_id}/photos?limit=20"
        while url:
            page = client.get(url).raise_for_status().json()
            photos += page["photos"]
            url = page["next"]
        return photos


def children_of(pid: int) -> list[int]:
    """The direct children of a process."""
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]
