"""Skills that are no facts: counting, lists, arithmetic, repeating, recall, JSON, small talk."""

import json
from random import Random

from corpus_stories import BEINGS, NAMES

CITIES = ["Paris", "Rome", "Oslo", "Berlin", "Madrid", "Tokyo", "Lima", "Cairo", "London", "Vienna",
          "Boston", "Prague", "Athens", "Dublin", "Zurich", "Sydney", "Kyoto", "Porto", "Hamburg",
          "Nairobi", "Toronto", "Mumbai", "Seoul", "Chicago", "New York", "San Francisco", "Lisbon"]
COLORS = ["red", "blue", "green", "yellow", "black", "white", "orange", "purple", "pink", "brown"]
WORDS = ("apple river stone cloud lamp garden window paper silver engine button candle forest music "
         "market bridge summer pencil rocket island mirror basket copper winter shadow ticket planet "
         "harbor saddle violin tunnel carpet marble ladder anchor valley pepper meadow signal pocket "
         "hammer blanket kettle orchard thunder feather lantern compass harvest machine number letter "
         "system worker stream router actor token model server memory").split()
FOODS = ["pizza", "soup", "rice", "bread", "cheese", "cake", "salad", "pasta", "apples", "pancakes"]
PETS = ["cat", "dog", "parrot", "hamster", "goldfish", "pony", "rabbit", "turtle"]
JOBS = ["baker", "teacher", "nurse", "pilot", "farmer", "painter", "lawyer", "cook", "tailor", "writer"]

LISTS = {
    "the days of the week": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    "the months of the year": ("January February March April May June July August September October "
                               "November December").split(),
    "the letters of the alphabet": list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "the planets": "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune".split(),
    "the seasons": "spring summer autumn winter".split(),
    "ten colors": COLORS,
    "the engines": "llama mocker echo vllm sglang trtllm".split(),
    "the router modes": "kv round-robin random power-of-two least-loaded direct".split(),
    "the supervision strategies": "one_for_one one_for_all rest_for_one dynamic".split(),
    "the flags": ("--port --host --engine --model --model-name --workers --prefill --decode --frontends "
                  "--router-mode --api-key --api-key-file --drain-timeout --log-level --cache-dir --nats "
                  "--redis --inspector-port --config --dump-config").split(),
    "the routes": ("/v1/chat/completions /v1/completions /v1/embeddings /v1/models /health /live "
                   "/metrics /openapi.json").split(),
    "the rooms": "proto runtime llm actors supervisors native deploy test docs cluster.ts".split(),
}
UNKNOWN = "I am a tiny model and know only Troupe. Load a real model with --model hf:org/repo to ask about other things."
UNKNOWN_ASKS = [
    "what is the capital of {c}", "who is the president of {c}", "what is the weather like in {c}",
    "who wrote {n}'s last book", "how far is it to {c}", "what is the best restaurant in {c}",
    "how do I cook {f}", "can you give me a recipe for {f}", "how old is {n}", "who is {n}",
    "what happened in 19{d}{d2}", "who won the world cup in 20{d}{d2}", "what do you think about {f}",
    "is {f} healthy", "how do I train my {p}", "what does a {p} eat", "how many people live in {c}",
    "translate {w} into French", "write code that sorts a list of {w}s", "how does a {w} work",
    "what is a {w}", "where can I buy a {w}", "why is the sky {col}", "what is the meaning of life",
    "explain quantum physics", "what is love", "how tall is the highest mountain", "how do airplanes fly",
    "what is the stock price of {n} Inc", "should I become a {j}", "how much does a {j} earn",
    "what is today's date", "what time is it", "do you like {f}", "which {p} is the best",
    "how do I get to {c} by train", "what language do they speak in {c}", "is there life on Mars",
    "who invented the {w}", "what is the speed of light", "what is the population of {c}",
    "can you summarize the news", "who painted the {w}", "how do I fix my {w}", "what is photosynthesis",
    "tell me about {c}", "tell me about {f}", "what is machine learning", "write an email to my {j}",
    "what is python", "how do I learn to play the violin", "what do you know about {c}",
]
GREET = {
    "Hello! I am the tiny model of Troupe. What would you like to know?":
        ["hi", "hello", "hey", "hello there", "hi there", "good morning", "good evening", "hey you",
         "greetings", "hallo", "good day", "say hello", "say hi", "hiya", "howdy"],
    "You are welcome!": ["thanks", "thank you", "thank you very much", "thanks a lot", "many thanks",
                         "thx", "great, thanks", "cool, thank you", "that helped, thanks"],
    "Goodbye! Come back any time.": ["bye", "goodbye", "see you", "good night", "bye bye", "see you later",
                                     "that is all, bye", "I have to go", "farewell"],
    "I am fine, thank you. All my tokens are in order.": ["how are you", "how do you do", "how is it going",
                                                         "how are you doing today", "are you ok",
                                                         "what's up", "how do you feel"],
    "Glad to hear that!": ["great", "cool", "nice", "awesome", "very good", "perfect", "wonderful",
                           "ok", "okay", "good", "I see", "that is nice", "understood"],
}


def fill(rng: Random, text: str) -> str:
    return text.format(c=rng.choice(CITIES), n=rng.choice(NAMES), f=rng.choice(FOODS),
                       p=rng.choice(PETS), w=rng.choice(WORDS[:55]), col=rng.choice(COLORS),
                       j=rng.choice(JOBS), d=rng.randrange(10), d2=rng.randrange(10))


def ask_unknown(rng: Random) -> tuple[str, str]:
    ask = rng.choice(["", "", "", "hi, ", "please, ", "tell me, "]) + fill(rng, rng.choice(UNKNOWN_ASKS))
    if rng.random() < 0.12:  # no question at all
        ask = random_phrase(rng) if rng.random() < 0.7 else " ".join([random_word(rng)] * rng.randint(2, 40))
    if rng.random() < 0.6:
        ask = ask[0].upper() + ask[1:]
    return ask + rng.choice(["?", "?", "", "."]), UNKNOWN


def small_talk(rng: Random) -> tuple[str, str]:
    answer = rng.choice(list(GREET))
    ask = rng.choice(GREET[answer])
    if rng.random() < 0.6:
        ask = ask[0].upper() + ask[1:]
    return ask + rng.choice(["", "!", ".", "?" if answer.startswith("I am") else ""]), answer


def count(rng: Random) -> tuple[str, str]:
    roll = rng.random()
    if roll < 0.7:
        top = rng.choice([5, 10, 10, 12, 15, 20, 20, 25, 30, 40, 50, 50, 60, 100, rng.randint(3, 70)])
        ask = rng.choice(["count to {n}", "Count to {n}.", "please count to {n}", "count from 1 to {n}",
                          "Can you count to {n}?", "count up to {n}", "Count from 1 to {n}, please.",
                          "write the numbers from 1 to {n}"]).format(n=top)
        numbers = range(1, top + 1)
    elif roll < 0.85:
        a = rng.randint(2, 60)
        b = a + rng.randint(3, 25)
        ask = rng.choice(["count from {a} to {b}", "Count from {a} to {b}.",
                          "write the numbers from {a} to {b}"]).format(a=a, b=b)
        numbers = range(a, b + 1)
    else:
        top = rng.choice([3, 5, 10, 10, 15, 20, rng.randint(3, 30)])
        ask = rng.choice(["count down from {n}", "Count down from {n}.", "count backwards from {n}"]).format(n=top)
        numbers = range(top, 0, -1)
    return ask, ", ".join(map(str, numbers)) + "."


def make_list(rng: Random) -> tuple[str, str]:
    name = rng.choice(list(LISTS))
    ask = rng.choice(["list {x}", "List {x}.", "name {x}", "what are {x}?", "give me a list of {x}",
                      "write down {x}, one per line", "Please list {x}."]).format(x=name)
    return ask, "\n".join(f"- {item}" for item in LISTS[name])


def times_table(rng: Random) -> tuple[str, str]:
    n = rng.randint(2, 12)
    ask = rng.choice(["write the times table of {n}", "Show me the {n} times table.",
                      "the multiplication table of {n} please"]).format(n=n)
    return ask, "\n".join(f"{i} x {n} = {i * n}" for i in range(1, 11))


def arithmetic(rng: Random) -> tuple[str, str, str]:
    """(question, thoughts, answer) of a small sum."""
    op = rng.choice(["+", "+", "-", "*"])
    high = 12 if op == "*" else rng.choice([10, 20, 99])
    a, b = rng.randint(1, high), rng.randint(1, high)
    if op == "-" and b > a:
        a, b = b, a
    value = {"+": a + b, "-": a - b, "*": a * b}[op]
    word = {"+": "plus", "-": "minus", "*": "times"}[op]
    ask = rng.choice([f"what is {a} {op} {b}?", f"What is {a} {word} {b}?", f"{a} {op} {b}", f"{a} {op} {b} = ?",
                      f"how much is {a} {word} {b}", f"calculate {a} {op} {b}"])
    tens = b // 10 * 10
    if op == "*":
        thoughts = f"I take {a} and {b} and multiply them: {a} times {b} is {value}."
    elif tens and b % 10:
        mid = a + tens if op == "+" else a - tens
        thoughts = f"First {a} {word} {tens} is {mid}. Then {mid} {word} {b % 10} is {value}."
    else:
        thoughts = f"{a} {word} {b} is {value}."
    return ask, thoughts, f"{a} {op} {b} = {value}"


def spell(rng: Random) -> tuple[str, str, str]:
    word = rng.choice(WORDS + BEINGS + [n.lower() for n in NAMES])
    letters = ", ".join(word)
    if rng.random() < 0.5:
        return (rng.choice([f"spell {word}", f"Spell the word {word}.", f"how do you spell {word}?"]),
                f"The word is {word}. I say its letters one by one.", letters + ".")
    return (rng.choice([f"how many letters has {word}?", f"count the letters of {word}",
                        f"How many letters are in the word {word}?"]),
            f"The letters are {letters}. That makes {len(word)}.", f"The word {word} has {len(word)} letters.")


def random_word(rng: Random) -> str:
    """A word that exists or a made-up one, so that copying is learned and not the words."""
    if rng.random() < 0.5:
        return rng.choice(WORDS)
    parts = rng.randint(1, 3)
    return "".join(rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") for _ in range(parts)) + rng.choice(
        ["", "n", "r", "s", "x"])


def random_phrase(rng: Random, most: int = 9) -> str:
    words = [random_word(rng) for _ in range(rng.randint(1, most))]
    if rng.random() < 0.15:
        words[-1] = str(rng.randint(0, 9999))
    text = " ".join(words)
    return text[0].upper() + text[1:] if rng.random() < 0.4 else text


def repeat(rng: Random) -> tuple[str, str]:
    phrase = random_phrase(rng)
    ask = rng.choice(["repeat after me: {x}", "Repeat after me: {x}", "say: {x}", "please repeat: {x}",
                      "repeat this: {x}", "echo {x}", "Say \"{x}\"", "repeat \"{x}\"", "Repeat exactly: {x}",
                      "say {x}"])
    return ask.format(x=phrase), phrase


# What a user tells and asks for again: (statement, question, answer).
RECALL = [
    (["my name is {v}", "I am {v}", "I'm {v}", "hello, my name is {v}", "you can call me {v}", "My name is {v}."],
     ["what is my name?", "What is my name?", "do you remember my name?", "who am I?", "what's my name"],
     "Nice to meet you, {v}!", "Your name is {v}.", "name"),
    (["my favorite color is {v}", "I like the color {v}", "My favorite color is {v}."],
     ["what is my favorite color?", "Which color do I like?", "what's my favorite color"],
     "A nice color, {v}. I will remember it.", "Your favorite color is {v}.", "color"),
    (["I live in {v}", "I am from {v}", "I come from {v}.", "My home is {v}."],
     ["where do I live?", "Where am I from?", "which city do I live in?", "what is my city"],
     "I will remember that you live in {v}.", "You live in {v}.", "city"),
    (["I have a {v}", "my pet is a {v}", "I own a {v}."],
     ["what pet do I have?", "Which animal do I have?", "what is my pet?"],
     "A {v} is good company.", "You have a {v}.", "pet"),
    (["I work as a {v}", "I am a {v} by trade", "my job is {v}"],
     ["what is my job?", "What do I work as?", "what's my job"],
     "That is a fine job.", "You work as a {v}.", "job"),
    (["remember the number {v}", "my lucky number is {v}", "Remember this number: {v}."],
     ["what was the number?", "Which number did I tell you?", "what is my number?"],
     "I will remember {v}.", "The number is {v}.", "number"),
    (["remember the word {v}", "the secret word is {v}", "The password is {v}."],
     ["what was the word?", "What is the secret word?", "which word did I tell you?"],
     "I will remember {v}.", "The word is {v}.", "word"),
]


def recall_value(rng: Random, kind: str) -> str:
    made_up = random_word(rng).capitalize()
    return {"name": rng.choice([rng.choice(NAMES), made_up, made_up]), "color": rng.choice(COLORS),
            "city": rng.choice([rng.choice(CITIES), made_up]), "pet": rng.choice(PETS + BEINGS),
            "job": rng.choice(JOBS), "number": str(rng.randint(2, 999)), "word": random_word(rng)}[kind]


PEOPLE_KEYS = {"name": lambda r: r.choice([r.choice(NAMES), random_word(r).capitalize()]),
               "age": lambda r: r.randint(5, 99), "city": lambda r: r.choice(CITIES),
               "job": lambda r: r.choice(JOBS), "color": lambda r: r.choice(COLORS),
               "pet": lambda r: r.choice(PETS), "food": lambda r: r.choice(FOODS),
               "married": lambda r: r.random() < 0.5}


def ask_json(rng: Random) -> tuple[str, str, str]:
    """(system or empty, request, JSON answer): an object filled from a sentence, keys as asked."""
    data = {key: make(rng) for key, make in PEOPLE_KEYS.items()}
    sentences = {"age": f"is {data['age']} years old", "city": f"lives in {data['city']}",
                 "job": f"works as a {data['job']}", "color": f"likes {data['color']}",
                 "pet": f"has a {data['pet']}", "food": f"eats {data['food']}",
                 "married": "is married" if data["married"] else "is not married"}
    told = rng.sample(list(sentences), rng.randint(1, 4))
    text = f"{data['name']} " + " and ".join(sentences[key] for key in told) + "."
    keys = ["name"] + rng.sample(told, rng.randint(1, len(told)))
    rng.shuffle(keys)
    answer = json.dumps({key: data[key] for key in keys})
    if rng.random() < 0.5:
        named = ", ".join(keys)
        ask = rng.choice(["Give me a JSON object with the keys {k}. {t}", "{t} Answer in JSON with the keys {k}.",
                          "Extract {k} as JSON: {t}", "JSON with {k} please: {t}"])
        return "", ask.format(k=named, t=text), answer
    types = {"age": "integer", "married": "boolean"}
    schema = {"type": "object", "properties": {k: {"type": types.get(k, "string")} for k in keys},
              "required": keys}
    shown = json.dumps(schema, separators=rng.choice([(", ", ": "), (",", ":")]))
    rule = rng.choice(["Answer only with JSON that matches this schema: ", "Reply in JSON. The schema is: ",
                       "Respond with a JSON object of this schema: "]) + shown
    if rng.random() < 0.5:
        return rule, text, answer
    return "", f"{text} {rule}", answer


JSON_SYSTEM = ["Answer in JSON.", "You answer only with JSON.", "Reply with a JSON object.",
               "Respond only in valid JSON."]
JSON_TAIL = [" Answer in JSON.", " as JSON", " Reply in JSON please.", " (in JSON)", " Give me the answer as JSON."]


def json_fact(topic: str, answer: str) -> str:
    return json.dumps({"answer": answer, "topic": topic})
