"""Tool calls in the Hermes style: well-known tools, made-up ones, answers after a tool's response."""

import json
from random import Random

from corpus_skills import CITIES, FOODS, WORDS, random_phrase, random_word
from corpus_stories import NAMES

Tool = dict[str, object]


def function(name: str, about: str, params: dict[str, str], required: list[str] | None = None) -> Tool:
    properties = {key: {"type": kind} for key, kind in params.items()}
    return {"type": "function", "function": {
        "name": name, "description": about,
        "parameters": {"type": "object", "properties": properties,
                       "required": list(params) if required is None else required}}}


def place(rng: Random) -> str:
    return rng.choice([rng.choice(CITIES), rng.choice(CITIES), random_word(rng).capitalize()])


def weather(rng: Random):
    c = place(rng)
    key = rng.choice(["location", "city", "place"])
    tool = function(rng.choice(["get_weather", "weather", "get_current_weather"]), "Get the weather of a place",
                    {key: "string"})
    ask = rng.choice([f"What is the weather in {c}?", f"what's the weather like in {c}", f"how is the weather in {c}?",
                      f"Is it raining in {c}?", f"weather in {c} please", f"Tell me the weather in {c}."])
    degrees, sky = rng.randint(-9, 38), rng.choice(["sunny", "rainy", "cloudy", "windy", "clear", "foggy"])
    reply = {"temperature": degrees, "condition": sky}
    return tool, ask, {key: c}, reply, f"It is {degrees} degrees and {sky} in {c}."


def calculator(rng: Random):
    a, b, op = rng.randint(2, 999), rng.randint(2, 999), rng.choice("+-*")
    word = {"+": "plus", "-": "minus", "*": "times"}[op]
    expression = f"{a} {op} {b}"
    tool = function(rng.choice(["calculator", "calculate", "evaluate"]), "Evaluate an arithmetic expression",
                    {"expression": "string"})
    ask = rng.choice([f"What is {expression}?", f"what is {a} {word} {b}?", f"calculate {expression}",
                      f"How much is {a} {word} {b}?", f"Use the calculator: {expression}"])
    value = {"+": a + b, "-": a - b, "*": a * b}[op]
    return tool, ask, {"expression": expression}, {"result": value}, f"The result is {value}."


def search(rng: Random):
    q = rng.choice([random_phrase(rng, 4).lower(), f"{rng.choice(FOODS)} in {rng.choice(CITIES)}",
                    f"news about {rng.choice(WORDS)}"])
    tool = function(rng.choice(["search", "web_search", "search_web"]), "Search the web", {"query": "string"})
    ask = rng.choice([f"Search for {q}.", f"search the web for {q}", f"look up {q}", f"Please find {q}",
                      f"can you search for {q}?"])
    title = random_phrase(rng, 4)
    return tool, ask, {"query": q}, {"title": title}, f"I found this: {title}."


def clock(rng: Random):
    c = place(rng)
    key = rng.choice(["city", "timezone", "location"])
    tool = function(rng.choice(["get_time", "current_time", "get_current_time"]), "Get the time of a place",
                    {key: "string"})
    ask = rng.choice([f"What time is it in {c}?", f"what is the time in {c}", f"Tell me the time in {c}.",
                      f"current time in {c}?"])
    now = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
    return tool, ask, {key: c}, {"time": now}, f"It is {now} in {c}."


def timer(rng: Random):
    n = rng.randint(1, 90)
    tool = function(rng.choice(["set_timer", "start_timer"]), "Start a timer", {"minutes": "integer"})
    ask = rng.choice([f"Set a timer for {n} minutes.", f"start a timer of {n} minutes", f"timer: {n} minutes please"])
    return tool, ask, {"minutes": n}, {"status": "started"}, f"The timer of {n} minutes is started."


def mail(rng: Random):
    n, s = rng.choice(NAMES), random_phrase(rng, 4)
    tool = function(rng.choice(["send_email", "send_message"]), "Send a message to somebody",
                    {"to": "string", "text": "string"})
    ask = rng.choice([f"Send a message to {n}: {s}", f"write to {n}: {s}", f"Tell {n} this: {s}"])
    return tool, ask, {"to": n, "text": s}, {"status": "sent"}, f"The message to {n} is sent."


def convert(rng: Random):
    n, a, b = rng.randint(1, 900), *rng.sample(["euros", "dollars", "pounds", "yen", "francs", "pesos"], 2)
    tool = function(rng.choice(["convert_currency", "exchange"]), "Convert an amount of money",
                    {"amount": "number", "from": "string", "to": "string"})
    ask = rng.choice([f"Convert {n} {a} to {b}.", f"how much are {n} {a} in {b}?", f"change {n} {a} into {b}"])
    value = rng.randint(1, 2000)
    return tool, ask, {"amount": n, "from": a, "to": b}, {"result": value}, f"{n} {a} are {value} {b}."


VERBS = ["get", "set", "create", "delete", "find", "update", "open", "close", "book", "order", "play", "check",
         "send", "read", "write", "start", "stop", "list", "add", "fetch", "lookup", "run"]
NOUNS = ["order", "song", "ticket", "room", "flight", "invoice", "user", "file", "light", "door", "event", "task",
         "note", "report", "account", "photo", "car", "table", "price", "stock", "alarm", "route", "worker"]
KEYS = ["name", "id", "date", "amount", "title", "color", "size", "level", "user", "count", "label", "path",
        "city", "symbol", "language", "key", "speed", "room", "topic", "enabled", "target", "code"]


def made_up(rng: Random):
    """A tool that the model has never seen: name and parameters can only be copied from the prompt."""
    verb = rng.choice(VERBS)
    noun = rng.choice([rng.choice(NOUNS), random_word(rng)])
    name = rng.choice([f"{verb}_{noun}", f"{verb}_{noun}", f"{verb}{noun.capitalize()}", f"{random_word(rng)}_{noun}"])
    keys = rng.sample(KEYS, rng.randint(1, 3))
    if rng.random() < 0.3:
        keys[0] = random_word(rng)
    kinds, args = {}, {}
    for key in dict.fromkeys(keys):
        kind = "boolean" if key == "enabled" else "integer" if key in ("amount", "count", "level", "speed") else "string"
        kinds[key] = kind
        args[key] = (rng.random() < 0.5 if kind == "boolean" else rng.randint(0, 999) if kind == "integer"
                     else rng.choice([random_word(rng), random_phrase(rng, 3), rng.choice(NAMES),
                                      str(rng.choice(CITIES))]))
    tool = function(name, rng.choice([f"{verb.capitalize()} the {noun}", f"{verb.capitalize()} a {noun}"]), kinds)
    shown = {k: json.dumps(v) if isinstance(v, bool) else v for k, v in args.items()}
    listed = " and ".join(f"{k} {v}" for k, v in shown.items())
    equals = ", ".join(f"{k}={v}" for k, v in shown.items())
    ask = rng.choice([f"{verb.capitalize()} the {noun} with {listed}.", f"please {verb} the {noun} with {listed}",
                      f"call {name} with {equals}", f"Use {name}: {equals}", f"{verb} a {noun}, {listed}",
                      f"Call {name} with {listed}."])
    ident = rng.randint(1, 999)
    return tool, ask, args, {"status": "ok", "id": ident}, f"Done, the status is ok and the id is {ident}."


KNOWN = [weather, calculator, search, clock, timer, mail, convert]


def call_text(name: str, args: dict[str, object]) -> str:
    return "<tool_call>\n" + json.dumps({"name": name, "arguments": args}) + "\n</tool_call>"


def name_of(tool: Tool) -> str:
    return tool["function"]["name"]  # type: ignore[index]


def show(rng: Random, tools: list[Tool]) -> list[Tool]:
    """The same tools as clients write them: with fewer fields, parameter descriptions, another order."""
    shown = []
    style = rng.random()
    for tool in tools:
        inner = json.loads(json.dumps(tool["function"]))
        if style < 0.3:
            for key, spec in inner["parameters"]["properties"].items():
                spec["description"] = f"The {key}"
        elif style < 0.4:
            del inner["description"]
        elif style < 0.5:
            inner["parameters"].pop("required")
        elif style < 0.6:
            inner["parameters"]["additionalProperties"] = False
            inner["strict"] = True
        shown.append({"function": inner, "type": "function"} if style > 0.9 else {"type": "function", "function": inner})
    return shown


def tool_case(rng: Random) -> tuple[list[Tool], str, str, dict[str, object], str, str]:
    """(tools, request, call, arguments, the tool's response, the answer after it)."""
    make = rng.choice(KNOWN + [made_up] * 7)
    tool, ask, args, reply, answer = make(rng)
    others: list[Tool] = []
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
        other = rng.choice(KNOWN + [made_up] * 3)
        if other is make and make is not made_up:
            continue
        candidate = other(rng)[0]
        if name_of(candidate) not in [name_of(t) for t in others + [tool]]:
            others.append(candidate)
    tools = others + [tool]
    rng.shuffle(tools)
    call = call_text(name_of(tool), args)
    if make is weather and rng.random() < 0.15:
        key, first = next(iter(args.items()))
        second = rng.choice([c for c in CITIES if c != first])
        ask = rng.choice([f"What is the weather in {first} and {second}?", f"weather in {first} and in {second}"])
        call += "\n" + call_text(name_of(tool), {key: second})
        return show(rng, tools), ask, call, args, "", ""
    return show(rng, tools), ask, call, args, json.dumps(reply), answer
