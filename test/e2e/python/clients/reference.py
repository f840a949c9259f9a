"""Log probabilities straight from `model.safetensors`: in PyTorch where it is installed, else in numpy.

The tiny model alone: its folder has the weights of the GGUF file that the server loads (both are F16).
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

FOLDER = Path(__file__).parents[4] / "deploy" / "models" / "tiny"


def logprobs(tokens: list[int]) -> np.ndarray:
    """[len(tokens) - 1]: of each token but the first, behind those before it."""
    table = _table(tokens[:-1])
    return table[np.arange(len(tokens) - 1), tokens[1:]]


def is_greedy(tokens: list[int], start: int) -> bool:
    """Whether each token from `start` on is the likeliest one at its place."""
    return bool((_table(tokens[:-1])[start - 1 :].argmax(-1) == np.array(tokens[start:])).all())


def _table(tokens: list[int]) -> np.ndarray:
    """[len(tokens), vocabulary]"""
    logits = _logits(tokens).astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def _numpy_model():
    config = json.loads((FOLDER / "config.json").read_text())
    weights = {name: w.astype(np.float32) for name, w in load_file(FOLDER / "model.safetensors").items()}
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    size, eps = config["head_dim"], config["rms_norm_eps"]

    def norm(x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weights[name]

    def rotate(x, cos, sin):
        a, b = np.split(x, 2, -1)
        return x * cos + np.concatenate([-b, a], -1) * sin

    def logits(tokens):
        n = len(tokens)
        half = np.arange(0, size, 2) / size
        angle = np.outer(np.arange(n), 1.0 / config["rope_theta"] ** half)
        angle = np.concatenate([angle, angle], -1)
        cos, sin = np.cos(angle), np.sin(angle)
        future = np.triu(np.full((n, n), -np.inf), 1)
        x = weights["model.embed_tokens.weight"][tokens]
        for i in range(config["num_hidden_layers"]):
            at = f"model.layers.{i}."
            y = norm(x, at + "input_layernorm.weight")

            def project(name, count):
                return (y @ weights[f"{at}self_attn.{name}.weight"].T).reshape(n, count, size).swapaxes(0, 1)

            q = rotate(project("q_proj", heads), cos, sin)
            k = np.repeat(rotate(project("k_proj", kv_heads), cos, sin), heads // kv_heads, 0)
            v = np.repeat(project("v_proj", kv_heads), heads // kv_heads, 0)
            weight = q @ k.swapaxes(1, 2) / np.sqrt(size) + future
            weight = np.exp(weight - weight.max(-1, keepdims=True))
            weight /= weight.sum(-1, keepdims=True)
            mixed = (weight @ v).swapaxes(0, 1).reshape(n, -1)
            x = x + mixed @ weights[at + "self_attn.o_proj.weight"].T
            y = norm(x, at + "post_attention_layernorm.weight")
            gate = y @ weights[at + "mlp.gate_proj.weight"].T
            up = y @ weights[at + "mlp.up_proj.weight"].T
            x = x + (gate / (1 + np.exp(-gate)) * up) @ weights[at + "mlp.down_proj.weight"].T
        return norm(x, "model.norm.weight") @ weights["model.embed_tokens.weight"].T

    return logits


def _torch_model():
    sys.path.insert(0, str(FOLDER / "training"))
    import torch
    from model import Config, Llama
    from safetensors.torch import load_file as load_tensors

    llama = Llama(Config()).eval()
    weights = {name: w.float() for name, w in load_tensors(FOLDER / "model.safetensors").items()}
    missing, unexpected = llama.load_state_dict(weights, strict=False)
    assert not missing and not unexpected, (missing, unexpected)

    def logits(tokens):
        with torch.no_grad():
            hidden, _ = llama(torch.tensor([tokens]))
            return llama.logits(hidden[0]).numpy()

    return logits


try:
    _logits = _torch_model()
    computed_by = "PyTorch"
except ModuleNotFoundError:
    _logits = _numpy_model()
    computed_by = "numpy"
