"""Questions about Troupe in many wordings, made from facts.txt."""

import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

WHAT = ["what is {x}", "what's {x}", "explain {x}", "tell me about {x}", "what does {x} mean",
        "can you explain {x}", "can you tell me what {x} is", "do you know what {x} is",
        "I want to know what {x} is", "please explain {x}", "what do you know about {x}", "{x}"]
WHATS = ["what are {x}", "explain {x}", "tell me about {x}", "can you explain {x}",
         "can you tell me what {x} are", "do you know what {x} are", "please explain {x}",
         "what do you know about {x}", "{x}"]
FLAG = ["what is {x}", "what does {x} do", "what is the {x} flag for", "explain {x}",
        "what does the flag {x} mean", "tell me about {x}", "what is {x} good for",
        "can you explain the {x} flag", "when do I need {x}", "how do I use {x}", "{x}"]
HOW = ["how do I {x}", "how can I {x}", "how to {x}", "what is the way to {x}", "I want to {x}",
       "can you tell me how to {x}", "show me how to {x}", "I would like to {x}",
       "is there a way to {x}", "can I {x}", "how does one {x}", "please tell me how to {x}"]

PREFIX = ["", "", "", "", "", "", "hi, ", "hello! ", "hey, ", "please: ", "quick question: ",
          "one question: ", "tell me, ", "so ", "ok, ", "and ", "excuse me, ", "question: "]
SUFFIX = ["", "", "", "", "", "", " please", ", please", " in short", " exactly", " in Troupe",
          " thanks"]
KEYS = "qwertyuiopasdfghjklzxcvbnm"


@dataclass
class Fact:
    id: str
    say: str = ""
    more: str = ""
    stems: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    @property
    def topic(self) -> str:
        return self.id.replace("_", " ")


def split_stems(fact: Fact) -> None:
    """Keeps a few whole stems out of the training data, to measure wordings never seen."""
    if len(fact.stems) < 9:
        return
    for stem in sorted(fact.stems, key=lambda s: zlib.crc32(s.encode()))[: len(fact.stems) // 9]:
        if len(stem.split()) >= 3:
            fact.stems.remove(stem)
            fact.unseen.append(stem)


def load_facts(path: Path) -> list[Fact]:
    """Reads facts.txt; raises ValueError where it is malformed or a question has two answers."""
    forms = {"what": WHAT, "whats": WHATS, "flag": FLAG, "how": HOW, "ask": ["{x}"]}
    facts: list[Fact] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("== "):
            facts.append(Fact(line[3:].strip()))
            continue
        key, _, rest = line.partition(": ")
        if key in ("say", "more"):
            setattr(facts[-1], key, rest.strip())
        elif key in forms:
            for phrase in rest.split(" | "):
                facts[-1].stems += [form.format(x=phrase.strip()) for form in forms[key]]
        else:
            raise ValueError(f"{path.name}:{number}: unknown line {line!r}")
    owner: dict[str, str] = {}
    for fact in facts:
        fact.stems = list(dict.fromkeys(fact.stems))
        for stem in fact.stems:
            if owner.setdefault(stem.lower(), fact.id) != fact.id:
                raise ValueError(f"{stem!r} asks for both {owner[stem.lower()]} and {fact.id}")
        split_stems(fact)
    return facts


def typo(rng: Random, text: str) -> str:
    """One slip of the finger in a word of at least five letters; flags and paths stay as they are."""
    words = text.split(" ")
    places = [i for i, w in enumerate(words) if len(w) >= 5 and re.fullmatch(r"[A-Za-z]+", w)]
    if not places:
        return text
    at = rng.choice(places)
    word = words[at]
    i = rng.randrange(1, len(word) - 1)
    words[at] = rng.choice([
        word[:i] + word[i + 1:],
        word[:i] + word[i] + word[i:],
        word[:i] + word[i + 1] + word[i] + word[i + 2:],
        word[:i] + rng.choice(KEYS) + word[i + 1:],
    ])
    return " ".join(words)


def word_question(rng: Random, stem: str) -> str:
    """One wording of a question: politeness, case, punctuation, a typo now and then."""
    text = rng.choice(PREFIX) + stem
    bare = text == stem
    is_question = not re.match(r"(explain|tell|please|show|I |list|help|introduce|describe)", stem)
    text += rng.choice(SUFFIX) if not bare or rng.random() < 0.3 else ""
    if rng.random() < 0.15:
        text = typo(rng, text)
    end = rng.random()
    if is_question:
        text += "?" if end < 0.72 else ("??" if end < 0.75 else "")
    else:
        text += "." if end < 0.4 else ("!" if end < 0.45 else "")
    case = rng.random()
    if case < 0.6:
        return text[0].upper() + text[1:]
    if case < 0.65 and "--" not in text and "/" not in text:
        return text.upper()
    return text if case < 0.8 else text[0].lower() + text[1:]


def is_held_out(question: str) -> bool:
    """True for the one wording in sixteen that training never sees."""
    return zlib.crc32(question.encode()) % 16 == 0


def ask_fact(rng: Random, fact: Fact) -> str:
    """A wording that training may see."""
    while True:
        question = word_question(rng, rng.choice(fact.stems))
        if not is_held_out(question):
            return question


def ask_held_out(rng: Random, fact: Fact) -> str:
    """A wording that training never sees, of a stem that it does see."""
    while True:
        question = word_question(rng, rng.choice(fact.stems))
        if is_held_out(question):
            return question
