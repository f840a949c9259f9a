"""A Llama in plain PyTorch; parameter names and layout are those of transformers' LlamaForCausalLM."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    vocab_size: int = 3072
    hidden: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 64  # llama.cpp's and vLLM's fast kernels want 64 or more
    ffn: int = 768
    context: int = 2048
    rope_theta: float = 10000.0
    eps: float = 1e-5


Cache = list[tuple[Tensor, Tensor]]


class Norm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


class Attention(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.c = c
        self.q_proj = nn.Linear(c.hidden, c.heads * c.head_size, bias=False)
        self.k_proj = nn.Linear(c.hidden, c.kv_heads * c.head_size, bias=False)
        self.v_proj = nn.Linear(c.hidden, c.kv_heads * c.head_size, bias=False)
        self.o_proj = nn.Linear(c.heads * c.head_size, c.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, past: tuple[Tensor, Tensor] | None):
        b, t, _ = x.shape
        c = self.c
        q = rotate(self.q_proj(x).view(b, t, c.heads, c.head_size).transpose(1, 2), cos, sin)
        k = rotate(self.k_proj(x).view(b, t, c.kv_heads, c.head_size).transpose(1, 2), cos, sin)
        v = self.v_proj(x).view(b, t, c.kv_heads, c.head_size).transpose(1, 2)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        group = c.heads // c.kv_heads
        y = F.scaled_dot_product_attention(q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1),
                                           is_causal=t > 1)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1)), (k, v)


class Mlp(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden, c.ffn, bias=False)
        self.up_proj = nn.Linear(c.hidden, c.ffn, bias=False)
        self.down_proj = nn.Linear(c.ffn, c.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.input_layernorm = Norm(c.hidden, c.eps)
        self.self_attn = Attention(c)
        self.post_attention_layernorm = Norm(c.hidden, c.eps)
        self.mlp = Mlp(c)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, past: tuple[Tensor, Tensor] | None):
        y, now = self.self_attn(self.input_layernorm(x), cos, sin, past)
        x = x + y
        return x + self.mlp(self.post_attention_layernorm(x)), now


class Body(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab_size, c.hidden)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.norm = Norm(c.hidden, c.eps)


class Llama(nn.Module):
    """Input and output embeddings are tied."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.c = c
        self.model = Body(c)
        half = torch.arange(0, c.head_size, 2).float() / c.head_size
        angle = torch.outer(torch.arange(c.context).float(), 1.0 / c.rope_theta**half)
        self.register_buffer("cos", torch.cat([angle, angle], -1).cos(), persistent=False)
        self.register_buffer("sin", torch.cat([angle, angle], -1).sin(), persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                small = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(p, std=0.02 / (2 * c.layers) ** 0.5 if small else 0.02)

    def forward(self, tokens: Tensor, past: Cache | None = None) -> tuple[Tensor, Cache]:
        """tokens [batch, time] → (hidden states [batch, time, hidden], cache to hand in at the next step)."""
        start = past[0][0].shape[2] if past else 0
        end = start + tokens.shape[1]
        cos, sin = self.cos[start:end], self.sin[start:end]
        x = self.model.embed_tokens(tokens)
        now: Cache = []
        for i, layer in enumerate(self.model.layers):
            x, kv = layer(x, cos, sin, past[i] if past else None)
            now.append(kv)
        return self.model.norm(x), now

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.model.embed_tokens.weight.T

    @torch.no_grad()
    def greedy(self, prompt: list[int], most: int, ends: set[int]) -> list[int]:
        """The most likely continuation, without the token that ended it."""
        out: list[int] = []
        hidden, past = self(torch.tensor([prompt]))
        while len(out) < most:
            token = int(self.logits(hidden[0, -1]).argmax())
            if token in ends:
                break
            out.append(token)
            hidden, past = self(torch.tensor([[token]]), past)
        return out


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, in transformers' order (first half, second half)."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin
