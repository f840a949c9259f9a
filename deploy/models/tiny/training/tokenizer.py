"""Byte-level BPE trained on the corpus; splits text exactly as llama.cpp's pre-tokenizer "qwen2" does."""

from random import Random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from corpus import Corpus

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# Visible in the output: parsers of reasoning and tool calls look for these very words.
VISIBLE = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
PRE = "qwen2"
SPLIT = (r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def train_tokenizer(seed: int, vocab_size: int, samples: int) -> Tokenizer:
    corpus = Corpus(seed)
    tokenizer = Tokenizer(models.BPE(byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size - len(CONTROL) - len(VISIBLE), show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), min_frequency=2)

    def texts():
        for _ in range(samples):
            text = corpus.sample()[0]
            for mark in CONTROL + VISIBLE:
                text = text.replace(mark, " ")
            yield text

    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in CONTROL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in VISIBLE])
    if tokenizer.get_vocab_size() != vocab_size:
        raise ValueError(f"vocabulary is {tokenizer.get_vocab_size()}, wanted {vocab_size}")
    return tokenizer


def hard_texts(seed: int, count: int) -> list[str]:
    """Strings that break careless tokenizers, to compare two of them."""
    rng = Random(seed)
    pieces = ["Troupe", " ", "  ", "\n", "\n\n", "\r\n", "\t", "don't", "I'LL", "we'Re", "8000", "3.14", "ß", "é", "e\u0301",
              "日本語", "🙂", "👩‍👩‍👧", "\u200b", "\u00a0", "ﬁ", "--port", "{\"a\": 1}", "<think>", "</tool_call>", "...",
              "_x_", "$", "٣", "Ⅷ", "नमस्ते", "привет", "a" * 40, "!?!?", "<|im", "ı", "\u2028"]
    return ["".join(rng.choice(pieces) for _ in range(rng.randint(1, 12))) for _ in range(count)]
