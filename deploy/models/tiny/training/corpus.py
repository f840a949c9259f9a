"""The training text: a seeded stream of samples, each a rendered prompt and the text to learn.

A sample is (text, is_chat). In chat text only what the assistant says is learned (train.py finds it by
the ChatML marks); plain text is learned as a whole.
"""

import json
from pathlib import Path
from random import Random

import jinja2

import corpus_skills as skills
from corpus_facts import ask_fact, load_facts
from corpus_stories import ask_joke, ask_poem, ask_story, raw_story
from corpus_tools import tool_case

HERE = Path(__file__).parents[1]
DRILLED = 12000  # samples at the start, half of which only drill copying
Message = dict[str, object]

SYSTEMS = ["You are a helpful assistant.", "You are the assistant of Troupe.", "Be brief.", "You are a friendly bot.",
           "You are a helpful assistant. Answer shortly.", "Answer the user's questions.", "You are Troupe's tiny model.",
           "Be kind and honest.", "You help people to use Troupe.", "Answer in plain English."]
THINK_SYSTEMS = ["Think step by step before you answer.", "Think step by step before you answer.",
                 "You are a helpful assistant.\n\nThink step by step before you answer.", "think",
                 "Think first.", "Think before you answer.", "You think step by step."]
THINK_TAILS = [" Think step by step.", " Think before you answer.", " (think step by step)", " think first",
               " Let's think step by step.", " think step by step"]
MORE = ["tell me more", "Tell me more.", "more please", "can you say more about that?", "what else?", "go on",
        "Tell me more about it.", "and what else?", "continue", "Can you tell me more?"]
AGAIN = ["say that again", "Repeat that, please.", "what did you say?", "once again please", "can you repeat that?",
         "Say it again.", "pardon?", "repeat your last answer"]
WHAT_ASKED = ["what did I ask?", "What was my question?", "what did I just ask you?", "repeat my last question"]


def make_renderer():
    """render(messages, tools=None, **flags) -> prompt text, by the very template that is shipped."""
    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    env.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = env.from_string((HERE / "chat_template.jinja").read_text())

    def render(messages: list[Message], tools=None, **flags) -> str:
        return template.render(messages=messages, tools=tools, **flags)

    return render


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


class Corpus:
    """Draws samples from one seeded generator; the same seed gives the same text."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.facts = load_facts(Path(__file__).parent / "facts.txt")
        self.render = make_renderer()
        self.drawn = 0
        self.kinds = [(self.facts_chat, 36), (self.dialogue, 13), (self.story_chat, 5), (self.plain_text, 4),
                      (self.think, 8), (self.tools, 13), (self.json_answer, 8), (self.recall_chat, 5),
                      (self.single_skill, 9), (self.repeat_chat, 5)]

    def sample(self) -> tuple[str, bool]:
        """Copying comes first: the attention heads that do it form late when they are not drilled."""
        self.drawn += 1
        if self.rng.random() < (0.5 if self.drawn <= DRILLED else 0.03):
            return self.drill()
        makers, weights = zip(*self.kinds)
        return self.rng.choices(makers, weights)[0]()

    # One exchange each: (what the user says, what the assistant answers).

    def fact_turn(self) -> tuple[str, str]:
        fact = self.rng.choice(self.facts)
        return ask_fact(self.rng, fact), fact.say

    def skill_turn(self) -> tuple[str, str]:
        rng = self.rng
        make = rng.choice([skills.count, skills.make_list, skills.repeat, skills.repeat, skills.repeat,
                           skills.ask_unknown, skills.ask_unknown, skills.ask_unknown, skills.small_talk,
                           skills.small_talk, skills.small_talk, ask_joke, ask_poem, skills.times_table,
                           self.sum_turn, self.sum_turn, self.spell_turn])
        return make(rng)

    def sum_turn(self, rng: Random) -> tuple[str, str]:
        ask, _, answer = skills.arithmetic(rng)
        return ask, answer

    def spell_turn(self, rng: Random) -> tuple[str, str]:
        ask, _, answer = skills.spell(rng)
        return ask, answer

    # Whole samples.

    def chat(self, turns: list[tuple[str, str]], system: str = "", tools=None) -> tuple[str, bool]:
        messages: list[Message] = [{"role": "system", "content": system}] if system else []
        for ask, answer in turns:
            messages += [user(ask), assistant(answer)]
        return self.finish(messages, tools)

    def finish(self, messages: list[Message], tools=None, **flags) -> tuple[str, bool]:
        """The last answer is kept as it is; earlier ones go through the template as history."""
        prompt = self.render(messages[:-1], tools, add_generation_prompt=True, **flags)
        return prompt + str(messages[-1]["content"]) + "<|im_end|>\n", True

    def maybe_system(self) -> str:
        roll = self.rng.random()
        if roll < 0.02:  # long, so that a shared prefix of hundreds of tokens does no harm
            notes = [f.say for f in self.rng.sample(self.facts, self.rng.randint(4, 20))]
            return self.rng.choice(SYSTEMS) + "\n\n" + "\n".join(notes)
        return self.rng.choice(SYSTEMS) if roll < 0.27 else ""

    def facts_chat(self) -> tuple[str, bool]:
        turns = [self.fact_turn() for _ in range(self.rng.choice([1, 1, 1, 2, 3, 4]))]
        return self.chat(turns, self.maybe_system())

    def single_skill(self) -> tuple[str, bool]:
        return self.chat([self.skill_turn() for _ in range(self.rng.choice([1, 1, 2]))], self.maybe_system())

    def drill(self) -> tuple[str, bool]:
        """Random words to be said again, more than a user would ask for."""
        turns = []
        for _ in range(self.rng.choice([1, 2, 3])):
            phrase = skills.random_phrase(self.rng, self.rng.choice([5, 10, 25]))
            turns.append((self.rng.choice(["repeat: {x}", "say: {x}", "{x} (repeat)"]).format(x=phrase), phrase))
        return self.chat(turns)

    def repeat_chat(self) -> tuple[str, bool]:
        return self.chat([skills.repeat(self.rng) for _ in range(self.rng.choice([1, 2, 3]))])

    def story_chat(self) -> tuple[str, bool]:
        return self.chat([ask_story(self.rng)], self.maybe_system())

    def dialogue(self) -> tuple[str, bool]:
        """Several turns of any kind, some of which refer to the turn before."""
        rng = self.rng
        turns: list[tuple[str, str]] = []
        if rng.random() < 0.4:
            turns.append(skills.small_talk(rng))
        memory: list[tuple[list[str], str]] = []
        for _ in range(rng.choice([2, 3, 3, 4, 5, 7, 9])):
            roll = rng.random()
            if roll < 0.12:
                say, questions, thanks, answer, kind = rng.choice(skills.RECALL)
                value = skills.recall_value(rng, kind)
                turns.append((rng.choice(say).format(v=value), thanks.format(v=value)))
                memory = [m for m in memory if m[0] is not questions]
                memory.append((questions, answer.format(v=value)))
            elif roll < 0.28 and memory:
                questions, answer = rng.choice(memory)
                turns.append((rng.choice(questions), answer))
            elif roll < 0.42:
                fact = rng.choice([f for f in self.facts if f.more])
                turns.append((ask_fact(rng, fact), fact.say))
                turns.append((rng.choice(MORE), fact.more))
            elif roll < 0.5 and turns and len(turns[-1][1]) < 300:
                turns.append((rng.choice(AGAIN), turns[-1][1]))
            elif roll < 0.55 and turns and len(turns[-1][0]) < 200:
                turns.append((rng.choice(WHAT_ASKED), f"You asked: {turns[-1][0]}"))
            elif roll < 0.59:
                turns.append(ask_story(rng))
            elif roll < 0.75:
                turns.append(self.skill_turn())
            else:
                fact = rng.choice(self.facts)
                turns.append((ask_fact(rng, fact), fact.say))
                if rng.random() < 0.15:
                    turns.append((rng.choice(MORE), fact.more or f"That is all I know about it ({fact.topic})."))
        return self.chat(turns, self.maybe_system())

    def recall_chat(self) -> tuple[str, bool]:
        """Tell something, talk of something else for a while, be asked for it."""
        rng = self.rng
        turns, memory = [], []
        for say, questions, thanks, answer, kind in rng.sample(skills.RECALL, rng.choice([1, 1, 2, 3])):
            value = skills.recall_value(rng, kind)
            turns.append((rng.choice(say).format(v=value), thanks.format(v=value)))
            memory.append((rng.choice(questions), answer.format(v=value)))
        for _ in range(rng.choice([0, 0, 1, 2, 3])):
            turns.append(self.fact_turn() if rng.random() < 0.7 else self.skill_turn())
        rng.shuffle(memory)
        return self.chat(turns + memory, self.maybe_system())

    def plain_text(self) -> tuple[str, bool]:
        rng = self.rng
        if rng.random() < 0.6:
            text = raw_story(rng)
        else:
            text = "\n\n".join(f.say + (" " + f.more if f.more else "")
                               for f in rng.sample(self.facts, rng.choice([1, 1, 2, 3])))
        return text + "<|endoftext|>", False

    def think(self) -> tuple[str, bool]:
        """Asked to think: a span of thoughts, then the answer. Told not to think: only the answer."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.4:
            fact = rng.choice(self.facts)
            ask, answer = ask_fact(rng, fact), fact.say
            thoughts = f"The question is about {fact.topic}. I know this: it is in my notes on Troupe."
        elif roll < 0.7:
            ask, thoughts, answer = skills.arithmetic(rng)
        elif roll < 0.85:
            ask, thoughts, answer = skills.spell(rng)
        else:
            ask, answer = skills.ask_unknown(rng)
            thoughts = "The question is not about Troupe. I do not know this, so I say so."
        before: list[Message] = []
        if rng.random() < 0.25:
            first, reply = self.fact_turn()
            before = [user(first), assistant(reply)]
        if rng.random() < 0.12:
            return self.finish([*before, user(ask), assistant(answer)], enable_thinking=False)
        full = f"<think>\n{thoughts}\n</think>\n\n{answer}"
        if rng.random() < 0.6:
            system = {"role": "system", "content": rng.choice(THINK_SYSTEMS)}
            return self.finish([system, *before, user(ask), assistant(full)])
        return self.finish([*before, user(ask + rng.choice(THINK_TAILS)), assistant(full)])

    def tools(self) -> tuple[str, bool]:
        rng = self.rng
        shown, ask, call, _, reply, answer = tool_case(rng)
        system = self.maybe_system()
        messages: list[Message] = [{"role": "system", "content": system}] if system else []
        roll = rng.random()
        if roll < 0.13:
            ask, answer = self.fact_turn() if rng.random() < 0.6 else skills.small_talk(rng)
            return self.finish([*messages, user(ask), assistant(answer)], shown)
        if rng.random() < 0.15:
            first, said = self.fact_turn() if rng.random() < 0.6 else skills.small_talk(rng)
            messages += [user(first), assistant(said)]
        messages += [user(ask), assistant(call)]
        if roll < 0.35 and answer:
            messages += [{"role": "tool", "content": reply}, assistant(answer)]
        return self.finish(messages, shown)

    def json_answer(self) -> tuple[str, bool]:
        rng = self.rng
        if rng.random() < 0.6:
            system, ask, answer = skills.ask_json(rng)
            return self.chat([(ask, answer)], system)
        fact = rng.choice(self.facts)
        ask, answer = ask_fact(rng, fact), skills.json_fact(fact.topic, fact.say)
        if rng.random() < 0.5:
            return self.chat([(ask, answer)], rng.choice(skills.JSON_SYSTEM))
        return self.chat([(ask + rng.choice(skills.JSON_TAIL), answer)])
