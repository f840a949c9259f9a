"""Token ids and texts of Hugging Face's `tokenizers`, for comparing ours with (pip install tokenizers).

Reads one JSON object from standard input and writes one to standard output:
  {"cases": [{"tokenizer": "path of a tokenizer.json", "texts": [text, ...], "ids": [[id, ...], ...]}]}
  {"version": "0.23.3", "cases": [{"encoded": [[id, ...], ...], "plain": [[id, ...], ...],
    "decoded": [text, ...], "visible": [text, ...], "spoken": [text, ...]}]}
`encoded` takes special tokens for what they are, `plain` leaves them text, neither adds one.
`decoded` and `visible` are the texts of `encoded` with and without special tokens; `spoken` is the
text of each list in `ids`, without special tokens. Half a surrogate pair stands for U+FFFD.
"""

import json
import sys

import tokenizers


def whole(text):
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return "".join("\ufffd" if 0xD800 <= ord(char) < 0xE000 else char for char in paired)


def answer(case):
    tokenizer = tokenizers.Tokenizer.from_file(case["tokenizer"])
    tokenizer.no_truncation()
    tokenizer.no_padding()
    texts = [whole(text) for text in case["texts"]]
    encode = lambda: [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    encoded = encode()
    tokenizer.encode_special_tokens = True
    plain = encode()
    decode = lambda ids, skip: tokenizer.decode(ids, skip_special_tokens=skip)
    return {
        "encoded": encoded,
        "plain": plain,
        "decoded": [decode(ids, False) for ids in encoded],
        "visible": [decode(ids, True) for ids in encoded],
        "spoken": [decode(ids, True) for ids in case.get("ids", [])],
    }


cases = json.load(sys.stdin)["cases"]
json.dump({"version": tokenizers.__version__, "cases": [answer(case) for case in cases]}, sys.stdout)
