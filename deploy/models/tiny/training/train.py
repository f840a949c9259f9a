"""Trains the tiny model on the CPU and writes all of its files. See README.md.

Deterministic for one version of torch, one kind of CPU and one number of threads.
"""

import argparse
import json
import os
import time
from pathlib import Path
from random import Random

# Before torch comes: waiting threads sleep, so that a busy machine does not stall both at every barrier.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
import torch.nn.functional as F
from torch import Tensor

from corpus import Corpus
from evaluate import evaluate, sample_dialogues
from export import HERE, load, write_all
from model import Config, Llama
from tokenizer import train_tokenizer

POOL = 1024  # samples sorted by length at a time, so that little padding is needed
NS = (3.4445, -4.7750, 2.0315)
DECAY = 400  # steps
LONGEST = 1024  # tokens; the few samples above are dropped


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised by Newton-Schulz steps (Keller Jordan, 2024); for matrices only.

    Needs about half as many tokens here as AdamW for the same loss.
    """

    def __init__(self, params: list[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state.setdefault(p, {})
                m = state.setdefault("m", torch.zeros_like(p))
                m.mul_(group["momentum"]).add_(p.grad)
                g = p.grad.add(m, alpha=group["momentum"])
                scale = max(1.0, p.shape[0] / p.shape[1]) ** 0.5
                p.mul_(1 - 0.01 * group["lr"]).add_(orthogonal(g), alpha=-group["lr"] * scale)


def orthogonal(g: Tensor) -> Tensor:
    """Pushes all singular values of a matrix towards 1 by five Newton-Schulz steps."""
    x = g / (g.norm() + 1e-7)
    if x.shape[0] > x.shape[1]:
        return orthogonal(g.T).T
    gram = x @ x.T
    if x.shape[1] < 2 * x.shape[0]:
        for step in range(5):
            gram = gram if step == 0 else x @ x.T
            x = NS[0] * x + (NS[1] * gram + NS[2] * gram @ gram) @ x
        return x
    # The same polynomial on the small Gram matrix alone: little more than half the work for a wide matrix.
    eye = torch.eye(len(gram))
    factor = eye
    for step in range(5):
        p = NS[0] * eye + NS[1] * gram + NS[2] * gram @ gram
        factor = p if step == 0 else p @ factor
        gram = gram if step == 4 else p @ gram @ p
    return factor @ x


class Batches:
    """Endless batches of (inputs, targets) with about `tokens` places; -100 marks what is not learned."""

    def __init__(self, corpus: Corpus, tokenizer, tokens: int) -> None:
        self.corpus, self.tokenizer, self.tokens = corpus, tokenizer, tokens
        self.rng = Random(corpus.rng.random())
        vocab = tokenizer.get_vocab()
        self.start, self.stop = vocab["<|im_start|>"], vocab["<|im_end|>"]
        self.answer = [self.start, *tokenizer.encode("assistant\n").ids]
        self.pad = vocab["<|endoftext|>"]

    def learned(self, ids: list[int], is_chat: bool) -> list[bool]:
        """True for each token that the model has to predict."""
        if not is_chat:
            return [True] * len(ids)
        mask, inside, n = [False] * len(ids), False, len(self.answer)
        for i, token in enumerate(ids):
            if inside:
                mask[i] = True
                inside = token != self.stop
            elif ids[i - n + 1 : i + 1] == self.answer and i >= n - 1:
                inside = True
        return mask

    def __iter__(self):
        while True:
            pool = []
            for text, is_chat in (self.corpus.sample() for _ in range(POOL)):
                ids = self.tokenizer.encode(text).ids
                if len(ids) <= LONGEST:
                    pool.append((ids, self.learned(ids, is_chat)))
            pool.sort(key=lambda s: len(s[0]))
            batches, batch = [], []
            for sample in pool:
                if batch and (len(batch) + 1) * len(sample[0]) > self.tokens:
                    batches.append(batch)
                    batch = []
                batch.append(sample)
            self.rng.shuffle(batches)  # the last, incomplete batch is left out
            yield from map(self.tensors, batches)

    def tensors(self, batch) -> tuple[Tensor, Tensor]:
        width = max(len(ids) for ids, _ in batch)
        inputs = torch.full((len(batch), width), self.pad)
        targets = torch.full((len(batch), width), -100)
        for row, (ids, mask) in enumerate(batch):
            inputs[row, : len(ids)] = torch.tensor(ids)
            wanted = [token if m else -100 for token, m in zip(ids[1:], mask[1:])]
            targets[row, : len(wanted)] = torch.tensor(wanted)
        return inputs, targets


def loss_of(model: Llama, inputs: Tensor, targets: Tensor) -> Tensor:
    # Products in bfloat16, weights and sums in float32: half the time on CPUs that know it.
    with torch.autocast("cpu", torch.bfloat16):
        hidden, _ = model(inputs)
        at = targets != -100
        logits = model.logits(hidden[at])
    return F.cross_entropy(logits.float(), targets[at])


def rate(step: int, steps: int) -> float:
    """Short warm-up, flat, then down to nothing over the last DECAY steps."""
    return min(1.0, (step + 1) / 40, (steps - step) / DECAY)


def train(model: Llama, batches: Batches, args: argparse.Namespace) -> dict[str, float]:
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed" in n]
    muon = Muon(matrices, args.lr)
    adam = torch.optim.AdamW(others, lr=args.lr * 0.2, betas=(0.9, 0.98), weight_decay=0.0)
    begun, seen, learned, mean = time.time(), 0, 0, None
    done = 0
    if args.checkpoint is not None and args.checkpoint.exists():
        state = torch.load(args.checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        muon.load_state_dict(state["muon"])
        adam.load_state_dict(state["adam"])
        done, seen, learned, mean = state["done"], state["seen"], state["learned"], state["mean"]
        begun -= state["spent_s"]
        print(f"goes on after step {done}", flush=True)
    for step, (inputs, targets) in zip(range(args.steps), batches):
        if step < done:
            continue  # drawn again, so that what follows is what would have followed
        for optimizer, base in ((muon, args.lr), (adam, args.lr * 0.2)):
            for group in optimizer.param_groups:
                group["lr"] = base * rate(step, args.steps)
        loss = loss_of(model, inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        muon.step()
        adam.step()
        muon.zero_grad()
        adam.zero_grad()
        seen += inputs.numel()
        learned += int((targets != -100).sum())
        mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
        if step % 10 == 0 or step + 1 == args.steps:
            spent = time.time() - begun
            print(f"step {step + 1}/{args.steps} loss {mean:.4f} tokens {seen} "
                  f"{seen / spent:.0f}/s {spent / 60:.1f} min", flush=True)
        if args.checkpoint is not None and (step + 1) % 50 == 0:
            save(args.checkpoint, {
                "model": model.state_dict(), "muon": muon.state_dict(), "adam": adam.state_dict(),
                "done": step + 1, "seen": seen, "learned": learned, "mean": mean,
                "spent_s": time.time() - begun})
    return {"loss": round(mean or 0, 4), "tokens": seen, "learned_tokens": learned,
            "minutes": round((time.time() - begun) / 60, 1)}


def save(path: Path, state: dict[str, object]) -> None:
    """Whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1400)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoint", type=Path, help="written every 50 steps; gone on from when it is there, "
                        "to the same weights as without it. The rate falls only over the last steps, so --steps may "
                        "be raised or lowered on the way")
    parser.add_argument("--init", type=Path, help="goes on from the weights and tokenizer in this folder")
    parser.add_argument("--kind", choices=["f16", "q8_0"], default="f16")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--evaluate", type=int, default=4, help="held-out questions a fact; 0 = none")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    config = Config()
    tokenizer = train_tokenizer(args.seed + 1000, config.vocab_size, 12000)
    model = Llama(config)
    if args.init is not None:
        model, tokenizer = load(args.init)
    count = sum(p.numel() for p in model.parameters())
    print(f"{count} parameters", flush=True)
    report: dict[str, object] = {"parameters": count}
    report |= train(model, Batches(Corpus(args.seed), tokenizer, args.batch_tokens), args)
    write_all(model, tokenizer, args.out, args.kind)
    model.half().float().eval()  # from here on exactly what was written
    if args.evaluate:
        report["evaluation"] = evaluate(model, tokenizer, args.evaluate)
    (args.out / "training-report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    sample_dialogues(model, tokenizer)


if __name__ == "__main__":
    main()
