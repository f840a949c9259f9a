"""Writes the trained weights as GGUF and as a transformers folder."""

import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from model import Config, Llama
from tokenizer import CONTROL, PRE, VISIBLE

HERE = Path(__file__).parents[1]
NAME = "troupe-tiny"
END, START, STOP = CONTROL


def template() -> str:
    return (HERE / "chat_template.jinja").read_text()


def interleave(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key matrix from transformers' rotary order to llama.cpp's (as its converter does)."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def tensors(model: Llama) -> list[tuple[str, np.ndarray]]:
    c = model.c
    get = {name: p.detach().half().float().numpy() for name, p in model.named_parameters()}
    out = [("token_embd.weight", get["model.embed_tokens.weight"])]
    for i in range(c.layers):
        h = f"model.layers.{i}."
        out += [(f"blk.{i}.{ours}.weight", value) for ours, value in {
            "attn_norm": get[h + "input_layernorm.weight"],
            "attn_q": interleave(get[h + "self_attn.q_proj.weight"], c.heads),
            "attn_k": interleave(get[h + "self_attn.k_proj.weight"], c.kv_heads),
            "attn_v": get[h + "self_attn.v_proj.weight"],
            "attn_output": get[h + "self_attn.o_proj.weight"],
            "ffn_norm": get[h + "post_attention_layernorm.weight"],
            "ffn_gate": get[h + "mlp.gate_proj.weight"],
            "ffn_up": get[h + "mlp.up_proj.weight"],
            "ffn_down": get[h + "mlp.down_proj.weight"],
        }.items()]
    out.append(("output_norm.weight", get["model.norm.weight"]))
    return out


def write_gguf(model: Llama, tokenizer: Tokenizer, path: Path, kind: str) -> None:
    """kind: "f16" or "q8_0"; norms stay F32. The output matrix is the embedding (tied)."""
    c = model.c
    w = gguf.GGUFWriter(str(path), "llama")
    w.add_name("Troupe Tiny")
    w.add_license("apache-2.0")
    w.add_description("A demonstration and test model for Troupe. Not knowledgeable.")
    w.add_context_length(c.context)
    w.add_embedding_length(c.hidden)
    w.add_block_count(c.layers)
    w.add_feed_forward_length(c.ffn)
    w.add_head_count(c.heads)
    w.add_head_count_kv(c.kv_heads)
    w.add_rope_dimension_count(c.head_size)
    w.add_rope_freq_base(c.rope_theta)
    w.add_layer_norm_rms_eps(c.eps)
    w.add_vocab_size(c.vocab_size)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if kind == "f16" else gguf.LlamaFileType.MOSTLY_Q8_0)
    spec = json.loads(tokenizer.to_str())
    vocab = tokenizer.get_vocab()
    names = [name for name, _ in sorted(vocab.items(), key=lambda item: item[1])]
    kinds = [gguf.TokenType.CONTROL if n in CONTROL else gguf.TokenType.USER_DEFINED if n in VISIBLE
             else gguf.TokenType.NORMAL for n in names]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(PRE)
    w.add_token_list(names)
    w.add_token_types(kinds)
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in spec["model"]["merges"]])
    w.add_bos_token_id(vocab[END])
    w.add_eos_token_id(vocab[STOP])
    w.add_pad_token_id(vocab[END])
    w.add_add_bos_token(False)
    w.add_chat_template(template())
    for name, value in tensors(model):
        if value.ndim == 1:
            w.add_tensor(name, value)
        elif kind == "f16":
            w.add_tensor(name, value.astype(np.float16))
        else:
            packed = gguf.quants.quantize(value, gguf.GGMLQuantizationType.Q8_0)
            w.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_transformers(model: Llama, tokenizer: Tokenizer, folder: Path) -> None:
    c: Config = model.c
    vocab = tokenizer.get_vocab()
    weights = {name: p.detach().half().contiguous() for name, p in model.named_parameters()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": c.vocab_size,
        "hidden_size": c.hidden, "intermediate_size": c.ffn, "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads, "num_key_value_heads": c.kv_heads, "head_dim": c.head_size,
        "max_position_embeddings": c.context, "rope_theta": c.rope_theta, "rms_norm_eps": c.eps,
        "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True,
        "bos_token_id": vocab[END], "eos_token_id": vocab[STOP], "pad_token_id": vocab[END],
        "torch_dtype": "float16"})
    write_json(folder / "generation_config.json", {
        "bos_token_id": vocab[END], "eos_token_id": [vocab[STOP], vocab[END]], "pad_token_id": vocab[END],
        "do_sample": False, "max_new_tokens": 512})
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": c.context, "bos_token": END,
        "eos_token": STOP, "pad_token": END, "unk_token": None, "add_bos_token": False,
        "clean_up_tokenization_spaces": False, "chat_template": template()})


def write_all(model: Llama, tokenizer: Tokenizer, folder: Path, kind: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_gguf(model, tokenizer, folder / f"{NAME}.gguf", kind)
    write_transformers(model, tokenizer, folder)


def load(folder: Path) -> tuple[Llama, Tokenizer]:
    """The model as it was written, ready to answer."""
    model = Llama(Config())
    weights = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
    model.load_state_dict(weights)
    return model.eval(), Tokenizer.from_file(str(folder / "tokenizer.json"))
