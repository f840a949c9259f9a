"""Little stories, poems and jokes out of a small grammar."""

from random import Random

NAMES = ["Ada", "Ben", "Cleo", "Dora", "Emil", "Finn", "Greta", "Hugo", "Ida", "Jonas", "Kira",
         "Leo", "Mina", "Nils", "Olga", "Pia", "Quinn", "Rosa", "Sam", "Tilda", "Una", "Vera",
         "Willow", "Yara", "Zoe", "Milo", "Otto", "Lena", "Max", "Nora"]
BEINGS = ["fox", "mouse", "bear", "owl", "hedgehog", "rabbit", "dragon", "robot", "girl", "boy",
          "cat", "dog", "turtle", "frog", "squirrel", "whale", "sailor", "baker", "wizard",
          "princess", "penguin", "snail", "goat", "crow", "bee", "knight", "gardener", "elephant",
          "lion", "pirate"]
KINDS = ["little", "small", "shy", "brave", "curious", "clever", "kind", "lazy", "cheerful", "old"]
PLACES = {"forest": "in a deep green forest", "village": "in a quiet village",
          "sea": "beside the wide blue sea", "mountain": "on a snowy mountain",
          "city": "in a loud and busy city", "island": "on a tiny island",
          "castle": "in an old castle", "garden": "in a garden full of flowers",
          "lighthouse": "in a lighthouse on a cliff", "desert": "at the edge of a hot desert",
          "river": "by a slow river", "farm": "on a farm behind the hills",
          "moon": "on the silver moon", "library": "in a dusty library"}
WANTS = [("wanted to see what lay behind the hills", "the other side of the hills"),
         ("was looking for a lost red kite", "the lost red kite"),
         ("wished for a friend", "a true friend"),
         ("wanted to bake the biggest cake of all", "the biggest cake of all"),
         ("wanted to learn how to swim", "how to swim"),
         ("searched for the brightest star", "the brightest star"),
         ("wanted to build a boat", "a strong little boat"),
         ("looked for a golden key", "the golden key"),
         ("wanted to hear the song of the wind", "the song of the wind"),
         ("wished to grow a sunflower as tall as a house", "a sunflower as tall as a house"),
         ("wanted to find the old map", "the old map"),
         ("dreamed of playing the drum", "a round little drum")]
TROUBLES = ["But a storm came up, and rain fell for three days.",
            "But the path was steep and full of stones.",
            "But a wide river was in the way, and there was no bridge.",
            "But the night was dark, and strange sounds came from everywhere.",
            "But nobody knew the way, and everybody laughed.",
            "But a big grey wall stood there, too high to climb.",
            "But the winter came early, and snow covered everything.",
            "But the first try failed, and so did the second."]
HELP = ["Then {b} the {bb} came along and said, \"Let us do it together.\"",
        "Just then {b} the {bb} looked out and asked, \"May I help you?\"",
        "At last {b} the {bb} heard of it and brought a lantern and a rope.",
        "\"Do not give up,\" said {b} the {bb}, who had seen it all. \"Two are better than one.\"",
        "{b} the {bb} sat down beside {a} and said, \"I know a secret way.\""]
WORK = ["They worked all day and sang all night.", "Step by step they went on, hand in hand.",
        "They tried once more, slowly and with care.", "Together they were not afraid at all.",
        "They shared their bread and made a clever plan.", "It took a long time, but they laughed a lot."]
ENDS = ["In the morning they found {goal}, and {a} jumped for joy.",
        "And there it was: {goal}. {a} could hardly believe it.",
        "When the sun rose, {a} had found {goal} at last.",
        "Before the week was over, {a} had {goal}, and everybody cheered."]
MORALS = ["From that day on they were the best of friends.",
          "And {a} learned that nobody has to be brave alone.",
          "And {a} learned that small steps lead far.",
          "And {a} never forgot that a kind word opens every door.",
          "And if you listen well, you can still hear them laugh.",
          "And {a} learned that asking for help is no shame."]
CHANGES = ["The next day {a} woke up early and had a new idea.",
           "But the story does not end here.", "A year went by, and {a} became restless again.",
           "Soon the whole land heard about it, and a letter came."]
TITLES = ["tell me a story", "write a story", "can you tell me a story", "please tell me a little story",
          "I would like to hear a story", "tell a short story", "once more a story please"]

POEM_A = ["The {x} is quiet in the night,", "A {x} went out to see the day,",
          "I saw a {x} beside the sea,", "Oh little {x}, where do you go,"]
POEM_B = ["it waits for stars and morning light.", "it sang and danced along the way.",
          "it smiled and waved a hand at me.", "through summer rain and winter snow?"]
POEM_C = ["The wind is soft, the moon is round,", "The clouds are white, the grass is green,",
          "The bells are ringing, one, two, three,"]
POEM_D = ["and sleep comes down without a sound.", "the finest day you've ever seen.",
          "and all the world is glad and free."]
JOKES = ["Why did the actor never get lost? Because it always had a reference.",
         "Why was the mailbox so calm? Because it knew its bounds.",
         "What did the supervisor say to the crashing child? Let's start over.",
         "Why did the token cross the wire? To get to the other side of the stream.",
         "Why did the lease go to the gym? It wanted to stay renewed."]


def episode(rng: Random, a: str, first: bool) -> str:
    """From a wish over some trouble to a good end; the moral is left to the caller."""
    want, goal = rng.choice(WANTS)
    b = rng.choice([n for n in NAMES if n != a])
    opening = f"Every day {a} {want}." if first else f"This time {a} {want}."
    parts = [opening, rng.choice(TROUBLES),
             rng.choice(HELP).format(a=a, b=b, bb=rng.choice(BEINGS)),
             rng.choice(WORK), rng.choice(ENDS).format(a=a, goal=goal)]
    return " ".join(parts)


def story(rng: Random, name: str, being: str, place: str, episodes: int) -> str:
    """A story of 70 to 110 words an episode, one paragraph each."""
    kind = rng.choice(KINDS)
    opening = rng.choice(["Once upon a time", "Long ago", "One fine day", "Once upon a time"])
    article = "an" if kind[0] in "aeiou" else "a"
    text = f"{opening} {article} {kind} {being} named {name} lived {PLACES[place]}. "
    text += episode(rng, name, True)
    for _ in range(episodes - 1):
        text += "\n\n" + rng.choice(CHANGES).format(a=name) + " " + episode(rng, name, False)
    return text + " " + rng.choice(MORALS).format(a=name)


def ask_story(rng: Random) -> tuple[str, str]:
    """(request, story) where the story keeps to what the request says."""
    name, being, place = rng.choice(NAMES), rng.choice(BEINGS), rng.choice(list(PLACES))
    ask, episodes = rng.choice(TITLES), 1
    roll = rng.random()
    if roll < 0.25:
        ask += f" about {'an' if being[0] in 'aeiou' else 'a'} {being}"
    elif roll < 0.4:
        ask += f" about {name} the {being}"
    elif roll < 0.5:
        ask += f" about {'an' if being[0] in 'aeiou' else 'a'} {being} named {name}"
    elif roll < 0.65:
        ask += f" about {'an' if being[0] in 'aeiou' else 'a'} {being} {PLACES[place]}"
    elif roll < 0.75:
        ask += f" that happens {PLACES[place]}"
    if rng.random() < 0.2:
        ask, episodes = ask.replace("story", "long story").replace("little long", "long"), rng.randint(2, 3)
        ask = ask.replace("short long", "long")
    if rng.random() < 0.5:
        ask = ask[0].upper() + ask[1:]
    return ask + rng.choice(["", ".", "!"]), story(rng, name, being, place, episodes)


def raw_story(rng: Random) -> str:
    """A story as plain text, for completions without a chat template."""
    return story(rng, rng.choice(NAMES), rng.choice(BEINGS), rng.choice(list(PLACES)),
                 rng.choice([1, 1, 1, 2, 3]))


def ask_poem(rng: Random) -> tuple[str, str]:
    thing = rng.choice(BEINGS + ["river", "star", "tree", "lamp", "machine", "cloud", "server"])
    i, j = rng.randrange(4), rng.randrange(3)
    ask = rng.choice(["write a poem about a {x}", "a poem about a {x} please",
                      "can you write a little poem about a {x}?", "Write me a poem about a {x}.",
                      "compose a short poem about a {x}"]).format(x=thing)
    return ask, "\n".join([POEM_A[i].format(x=thing), POEM_B[i], POEM_C[j], POEM_D[j]])


def ask_joke(rng: Random) -> tuple[str, str]:
    ask = rng.choice(["tell me a joke", "Tell me a joke.", "do you know a joke?", "a joke please",
                      "make me laugh", "Say something funny."])
    return ask, rng.choice(JOKES)
