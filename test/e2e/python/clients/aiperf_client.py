"""`aiperf profile`: a short run of streamed chats, whose own figures say that every request was answered."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from checks import arguments, run

url, model = arguments()
REQUESTS = 16
TOKENIZER = Path(__file__).parents[4] / "deploy" / "models" / "tiny"


def _profile(*more: str) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("aiperf")), "profile", "--model", model, "--url", url]
        command += ["--tokenizer", str(TOKENIZER), "--request-count", str(REQUESTS), "--concurrency", "4"]
        command += ["--synthetic-input-tokens-mean", "40", "--output-tokens-mean", "8"]
        command += ["--random-seed", "1", "--output-artifact-dir", folder, "--ui", "none", *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        found = list(Path(folder).rglob("profile_export_aiperf.json"))
        assert done.returncode == 0 and found, done.stdout[-2000:] + done.stderr[-2000:]
        return json.loads(found[0].read_text())


def _requests(figures: dict) -> float:
    assert not figures.get("error_summary"), figures["error_summary"]
    return figures["request_count"]["avg"]


def streamed_chats():
    figures = _profile("--endpoint-type", "chat", "--streaming")
    assert _requests(figures) == REQUESTS
    assert figures["time_to_first_token"]["avg"] > 0
    print(f"  {figures['output_token_throughput']['avg']:.0f} tokens a second")


def completions():
    assert _requests(_profile("--endpoint-type", "completions", "--streaming")) == REQUESTS


def embeddings():
    assert _requests(_profile("--endpoint-type", "embeddings")) == REQUESTS


run([streamed_chats, completions, embeddings])
