"""Greedy answers to what the model never saw, as shares from 0 to 1. Alone: evaluates the files in a folder."""

import json
import sys
from pathlib import Path
from random import Random
from typing import Callable

import corpus_skills as skills
from corpus import THINK_SYSTEMS, Corpus, Message, assistant, user
from corpus_facts import ask_held_out, word_question
from corpus_tools import tool_case

Answer = Callable[[str], str]  # rendered prompt → text with visible marks
SEED = 99_000


def answer_with(model, tokenizer) -> Answer:
    vocab = tokenizer.get_vocab()
    ends = {vocab["<|im_end|>"], vocab["<|endoftext|>"]}

    def answer(prompt: str) -> str:
        ids = tokenizer.encode(prompt).ids
        return tokenizer.decode(model.greedy(ids, 300, ends), skip_special_tokens=False)

    return answer


def cases(per_fact: int) -> list[tuple[str, str, Callable[[str], bool]]]:
    """(row, prompt, is the answer right)."""
    corpus = Corpus(SEED)
    rng, render = corpus.rng, corpus.render
    out: list[tuple[str, str, Callable[[str], bool]]] = []

    def add(row: str, messages: list[Message], right: Callable[[str], bool], tools=None, **flags) -> None:
        out.append((row, render(messages, tools, add_generation_prompt=True, **flags), right))

    for fact in corpus.facts:
        for _ in range(per_fact):
            add("facts, wording held out", [user(ask_held_out(rng, fact))], lambda t, f=fact: t == f.say)
        for stem in fact.unseen[:1]:
            add("facts, whole stem held out", [user(word_question(rng, stem))], lambda t, f=fact: t == f.say)
    for _ in range(100):
        fact, other = rng.sample(corpus.facts, 2)
        history = [user(ask_held_out(rng, other)), assistant(other.say), user(ask_held_out(rng, fact))]
        add("facts, second turn", history, lambda t, f=fact: t == f.say)
    for fact in corpus.facts:
        if fact.more:
            history = [user(ask_held_out(rng, fact)), assistant(fact.say), user("Tell me more.")]
            add("tell me more", history, lambda t, f=fact: t == f.more)
    for _ in range(100):
        add("unknown topic refused", [user(skills.ask_unknown(rng)[0])], lambda t: t == skills.UNKNOWN)
    for _ in range(100):
        add_recall(corpus, rng, add)
    for _ in range(200):
        tools, ask, call, _, _, _ = tool_case(rng)
        add("tool call valid JSON", [user(ask)], is_tool_call, tools)
        add("tool call exact", [user(ask)], lambda t, c=call: t == c, tools)
    for _ in range(60):
        fact = rng.choice(corpus.facts)
        ask = user(ask_held_out(rng, fact))
        flag = rng.random() < 0.5
        messages = [ask] if flag else [{"role": "system", "content": rng.choice(THINK_SYSTEMS)}, ask]
        kw = {"enable_thinking": True} if flag else {}
        add("think span closed", messages, is_thought, **kw)
        add("think, right answer", messages, lambda t, f=fact: t.endswith("</think>\n\n" + f.say), **kw)
        add("no think when off", [ask], lambda t, f=fact: t == f.say, enable_thinking=False)
    for _ in range(100):
        system, ask, answer = skills.ask_json(rng)
        messages = ([{"role": "system", "content": system}] if system else []) + [user(ask)]
        add("JSON valid", messages, is_json)
        add("JSON exact", messages, lambda t, a=answer: t == a)
    for row, make in (("count", skills.count), ("repeat after me", skills.repeat), ("list", skills.make_list),
                      ("small talk", skills.small_talk), ("arithmetic", sum_case)):
        for _ in range(50):
            ask, answer = make(rng)
            add(row, [user(ask)], lambda t, a=answer: t == a)
    return out


def sum_case(rng: Random) -> tuple[str, str]:
    ask, _, answer = skills.arithmetic(rng)
    return ask, answer


def add_recall(corpus: Corpus, rng: Random, add) -> None:
    say, questions, thanks, answer, kind = skills.RECALL[0]
    value = skills.recall_value(rng, kind)
    messages = [user(rng.choice(say).format(v=value)), assistant(thanks.format(v=value))]
    for _ in range(rng.choice([0, 1, 2, 4])):
        ask, said = corpus.fact_turn()
        messages += [user(ask), assistant(said)]
    add("name recall", [*messages, user(rng.choice(questions))], lambda t: t == answer.format(v=value))


def is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def is_tool_call(text: str) -> bool:
    calls = text.split("<tool_call>\n")[1:]
    return bool(calls) and all(c.rstrip("\n").endswith("\n</tool_call>") and is_json(c.split("\n</tool_call>")[0])
                               for c in calls)


def is_thought(text: str) -> bool:
    return text.startswith("<think>\n") and text.count("</think>\n\n") == 1 and not text.endswith("</think>\n\n")


def score(answer: Answer, per_fact: int, misses: list[tuple[str, str, str]] | None = None) -> dict[str, object]:
    right: dict[str, list[int]] = {}
    known: dict[str, str] = {}
    for row, prompt, check in cases(per_fact):
        text = known.setdefault(prompt, "") or answer(prompt)
        known[prompt] = text
        ok = check(text)
        right.setdefault(row, []).append(int(ok))
        if not ok and misses is not None:
            misses.append((row, prompt, text))
    return {row: {"share": round(sum(v) / len(v), 4), "cases": len(v)} for row, v in right.items()}


def evaluate(model, tokenizer, per_fact: int) -> dict[str, object]:
    misses: list[tuple[str, str, str]] = []
    rows = score(answer_with(model, tokenizer), per_fact, misses)
    for row, prompt, text in Random(1).sample(misses, min(25, len(misses))):
        print(f"miss [{row}] {prompt[-160:]!r} -> {text[:160]!r}")
    return rows


def sample_dialogues(model, tokenizer) -> None:
    answer, render = answer_with(model, tokenizer), Corpus(SEED).render
    for turns in (["hi", "what is a lease?", "thanks"], ["My name is Ada.", "What is a mailbox?", "What is my name?"],
                  ["Which port does Troupe use?", "How do I load a real model?", "tell me more"],
                  ["Tell me a story about a fox."], ["Count to 20."], ["what happens when a worker dies"],
                  ["What is 17 + 25? Think step by step."], ["What is TTFT? Answer in JSON."],
                  ["what is the capital of France?"], ["Repeat after me: green birds sing at night"]):
        messages: list[Message] = []
        for ask in turns:
            messages.append(user(ask))
            said = answer(render(messages, add_generation_prompt=True))
            messages.append(assistant(said))
            print(f"> {ask}\n{said}")
        print()


def main() -> None:
    from export import HERE, load

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    model, tokenizer = load(folder)
    print(json.dumps(evaluate(model, tokenizer, 4), indent=2))
    sample_dialogues(model, tokenizer)


if __name__ == "__main__":
    main()
