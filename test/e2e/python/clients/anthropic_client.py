"""The `anthropic` package: messages whole and streamed, tools, counting, errors."""

import anthropic
from checks import Skip, arguments, run, skip_without_tools

url, model = arguments()
client = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0)
QUESTION = [{"role": "user", "content": "What is Troupe?"}]
WEATHER = {
    "name": "get_weather",
    "description": "Get the weather of a place",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


# The package has no parameter for it any more; the server takes it.
GREEDY = {"extra_body": {"temperature": 0}}


def _create(**asked):
    try:
        return client.messages.create(model=model, **asked, **GREEDY)
    except anthropic.NotFoundError as error:
        raise Skip("no /v1/messages") from error


def message():
    answer = _create(max_tokens=32, messages=QUESTION, system="You are brief.")
    assert answer.role == "assistant" and answer.content[0].text
    assert answer.stop_reason in ("end_turn", "max_tokens") and answer.usage.output_tokens > 0


def streamed():
    whole = _create(max_tokens=32, messages=QUESTION)
    with client.messages.stream(model=model, max_tokens=32, messages=QUESTION, **GREEDY) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert final.usage.output_tokens == whole.usage.output_tokens


def tool_use():
    asked = {"max_tokens": 64, "tools": [WEATHER]}
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    try:
        answer = _create(messages=messages, **asked)
    except anthropic.BadRequestError as error:
        skip_without_tools(error)
    calls = [block for block in answer.content if block.type == "tool_use"]
    if not calls:
        raise Skip(f"{model} answers without a call")
    assert answer.stop_reason == "tool_use" and calls[0].name == "get_weather"
    result = {"type": "tool_result", "tool_use_id": calls[0].id, "content": "clear"}
    again = [*messages, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    assert _create(messages=again, **asked).content is not None


def counted():
    answer = _create(max_tokens=1, messages=QUESTION)
    count = client.messages.count_tokens(model=model, messages=QUESTION)
    assert count.input_tokens == answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0)


def errors_are_typed():
    _create(max_tokens=1, messages=QUESTION)
    try:
        client.messages.create(model="no-such-model", max_tokens=1, messages=QUESTION)
        raise AssertionError("no error")
    except anthropic.NotFoundError:
        pass
    try:
        client.messages.create(model=model, max_tokens=1, messages=[])
        raise AssertionError("no error")
    except anthropic.BadRequestError:
        pass


run([message, streamed, tool_use, counted, errors_are_typed])
