"""`lm-eval` with its model `local-completions`: log-likelihoods, rolling ones and generations.

With the tiny model every log-likelihood is compared with what its weights give directly (reference.py).
"""

import os
import tempfile
from pathlib import Path

os.environ["HF_HOME"] = tempfile.mkdtemp()
os.environ["TQDM_DISABLE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = os.environ["HF_HUB_OFFLINE"] = "1"

import lm_eval  # noqa: E402
from checks import Skip, arguments, run  # noqa: E402

url, model = arguments()
NEAR = 0.01
DATA = {
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": str(Path(__file__).parent / "tiny_choices.jsonl")}},
    "test_split": "test",
}
CHAT = "<|im_start|>user\n{{question}}<|im_end|>\n<|im_start|>assistant\n"
CHOICES = {
    "task": "troupe_choices",
    **DATA,
    "output_type": "multiple_choice",
    "doc_to_text": CHAT,
    "doc_to_choice": "choices",
    "doc_to_target": "answer",
    "target_delimiter": "",
    "metric_list": [{"metric": "acc"}],
}
ROLLING = {
    "task": "troupe_rolling",
    **DATA,
    "output_type": "loglikelihood_rolling",
    "doc_to_text": "",
    "doc_to_target": "{{question}} {{choices[0]}}",
    "metric_list": [{"metric": "bits_per_byte"}],
}
GENERATED = {
    "task": "troupe_generated",
    **DATA,
    "output_type": "generate_until",
    "doc_to_text": CHAT,
    "doc_to_target": "{{choices[0]}}",
    "generation_kwargs": {"until": ["\n", "<|im_end|>"], "max_gen_toks": 24, "temperature": 0},
    "metric_list": [{"metric": "exact_match"}],
}


def _evaluate(task: dict, **more) -> tuple[dict, list[dict]]:
    """The task's metrics and its samples. No tokenizer is at hand: the server's own is asked."""
    arguments = {
        "model": model,
        "base_url": f"{url}/v1/completions",
        "max_length": 2048,
        "max_retries": 1,
        "tokenizer_backend": "remote",
        **more,
    }
    found = lm_eval.simple_evaluate("local-completions", model_args=arguments, tasks=[task], bootstrap_iters=0)
    return found["results"][task["task"]], found["samples"][task["task"]]


def _encode(text: str) -> list[int]:
    return _tokenizer().encode(text, add_special_tokens=False).ids


def _tokenizer():
    from reference import FOLDER
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


def _compare(samples: list[dict]) -> None:
    if model != "troupe-tiny":
        raise Skip("the scores were made; only the tiny model's weights are here to compare with")
    import reference

    worst, worst_token, tokens = 0.0, 0.0, 0
    for sample in samples:
        for (context, continuation), response in zip(_arguments(sample), sample["resps"], strict=True):
            (score, greedy), *_ = response
            # As lm-eval cuts them: blanks at the end of a context belong to the continuation.
            known = len(_encode(context.rstrip()))
            whole = _encode(context + continuation)
            direct = reference.logprobs(whole)[known - 1 :]
            tokens += len(direct)
            off = abs(score - direct.sum())
            worst, worst_token = max(worst, off), max(worst_token, off / len(direct))
            assert off <= NEAR * len(direct), (context, continuation, score, direct.sum())
            assert greedy == reference.is_greedy(whole, known), (context, continuation)
    print(
        f"  {len(samples)} samples, {tokens} tokens; from {reference.computed_by}, of the whole text at most "
        f"{worst:.4f} and of a token {worst_token:.4f} away"
    )


def _arguments(sample: dict) -> list[tuple[str, str]]:
    given = sample["arguments"]
    given = given.values() if isinstance(given, dict) else given
    return [tuple(each.values()) if isinstance(each, dict) else tuple(each) for each in given]


def loglikelihoods_are_those_of_the_weights():
    metrics, samples = _evaluate(CHOICES)
    assert len(samples) == 6 and 0 <= metrics["acc,none"] <= 1
    print(f"  acc {metrics['acc,none']:.2f}")
    _compare(samples)


def batches_at_once_give_the_same():
    one, _ = _evaluate(CHOICES)
    _, samples = _evaluate(CHOICES, num_concurrent=4, batch_size=4)
    many, _ = _evaluate(CHOICES, num_concurrent=4, batch_size=4)
    assert one["acc,none"] == many["acc,none"]
    _compare(samples)


def rolling():
    metrics, samples = _evaluate(ROLLING)
    print(f"  {metrics['bits_per_byte,none']:.3f} bits a byte")
    assert len(samples) == 6 and metrics["bits_per_byte,none"] > 0


def generations():
    metrics, samples = _evaluate(GENERATED, num_concurrent=2)
    texts = [sample["resps"][0][0] for sample in samples]
    print(f"  exact_match {metrics['exact_match,none']:.2f}, the first: {texts[0]!r}")
    assert len(texts) == 6 and any(texts)


run([loglikelihoods_are_those_of_the_weights, batches_at_once_give_the_same, rolling, generations])
