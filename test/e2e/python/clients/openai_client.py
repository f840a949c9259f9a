"""The `openai` package: models, chats, streams, tools, completions with scores, embeddings, errors."""

import json

import openai
import pydantic
from checks import Skip, arguments, run, skip_without_tools

url, model = arguments()
client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
QUESTION = [{"role": "user", "content": "What is Troupe?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a place",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ASK_WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]


class Weather(pydantic.BaseModel):
    # A tiny model finds no end of a text by itself.
    city: str = pydantic.Field(max_length=20)


def models():
    assert model in [each.id for each in client.models.list().data]
    assert client.models.retrieve(model).id == model


def chat_whole_and_streamed():
    asked = {"model": model, "messages": QUESTION, "temperature": 0, "max_tokens": 32}
    whole = client.chat.completions.create(**asked)
    stream = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    text, usage = "", None
    for chunk in stream:
        usage = chunk.usage or usage
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
    assert text == whole.choices[0].message.content, (text, whole)
    assert usage.total_tokens == whole.usage.total_tokens


def chat_stream_helper():
    with client.chat.completions.stream(model=model, messages=QUESTION, max_tokens=80, temperature=0) as stream:
        for _ in stream:
            pass
        try:
            final = stream.get_final_completion()
        except openai.LengthFinishReasonError as error:
            final = error.completion
    assert final.choices[0].message.content


def chat_logprobs_and_n():
    answer = client.chat.completions.create(
        model=model, messages=QUESTION, max_tokens=4, n=2, temperature=1, seed=7, logprobs=True, top_logprobs=3
    )
    assert len(answer.choices) == 2
    for choice in answer.choices:
        assert all(len(entry.top_logprobs) == 3 for entry in choice.logprobs.content)


def tools_round_trip():
    asked = {"model": model, "messages": ASK_WEATHER, "tools": [WEATHER], "temperature": 0, "max_tokens": 64}
    try:
        first = client.chat.completions.create(**asked).choices[0]
    except openai.BadRequestError as error:
        skip_without_tools(error)
    if not first.message.tool_calls:
        raise Skip(f"{model} answers without a call: {first.message.content!r}")
    call = first.message.tool_calls[0]
    assert first.finish_reason == "tool_calls" and call.function.name == "get_weather"
    json.loads(call.function.arguments)
    name, args = "", ""
    for chunk in client.chat.completions.create(**asked, stream=True):
        for part in chunk.choices[0].delta.tool_calls or []:
            name += part.function.name or ""
            args += part.function.arguments or ""
    assert (name, args) == (call.function.name, call.function.arguments)
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"sky": "clear"}'}
    again = [*ASK_WEATHER, first.message.model_dump(exclude_none=True), result]
    assert client.chat.completions.create(**{**asked, "messages": again}).choices[0].message.content is not None


def tools_with_parse_helper():
    tool = openai.pydantic_function_tool(Weather, name="get_weather", description="Get the weather of a place")
    try:
        answer = client.chat.completions.parse(
            model=model, messages=ASK_WEATHER, tools=[tool], temperature=0, max_tokens=64
        )
    except openai.BadRequestError as error:
        skip_without_tools(error)
    for call in answer.choices[0].message.tool_calls or []:
        assert isinstance(call.function.parsed_arguments, Weather)


def structured_output():
    answer = client.chat.completions.parse(
        model=model, messages=ASK_WEATHER, response_format=Weather, temperature=0, max_tokens=200
    )
    assert isinstance(answer.choices[0].message.parsed, Weather)


def completions_and_scores():
    answer = client.completions.create(model=model, prompt=["Once upon a time", "A lease"], max_tokens=5, temperature=0)
    assert [choice.index for choice in answer.choices] == [0, 1]
    scored = client.completions.create(model=model, prompt="Once upon a time", max_tokens=0, echo=True, logprobs=2)
    logprobs = scored.choices[0].logprobs
    assert scored.choices[0].text == "Once upon a time" and logprobs.token_logprobs[0] is None
    assert all(value <= 0 for value in logprobs.token_logprobs[1:])
    own = client.completions.create(
        model=model, prompt=[1, 2, 3], max_tokens=1, extra_body={"prompt_logprobs": 1}
    ).choices[0]
    assert own.prompt_logprobs[0] is None and len(own.prompt_logprobs) == 3


def embeddings():
    try:
        answer = client.embeddings.create(model=model, input=["one", "two"])
    except openai.BadRequestError as error:
        raise Skip(error.message) from error
    assert len(answer.data) == 2 and abs(sum(x * x for x in answer.data[0].embedding) - 1) < 1e-3


def responses():
    asked = {"model": model, "input": "What is Troupe?", "max_output_tokens": 16, "temperature": 0}
    try:
        answer = client.responses.create(**asked)
    except openai.NotFoundError as error:
        raise Skip("no /v1/responses") from error
    kinds = [event.type for event in client.responses.create(**asked, stream=True)]
    assert answer.output_text and kinds[0] == "response.created"


def batches():
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}
    line["body"] = {"model": model, "messages": QUESTION, "max_tokens": 4}
    try:
        file = client.files.create(file=("lines.jsonl", json.dumps(line).encode()), purpose="batch")
    except openai.NotFoundError as error:
        raise Skip("no /v1/files") from error
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert client.batches.retrieve(batch.id).id == batch.id


def errors_are_typed():
    try:
        client.chat.completions.create(model="no-such-model", messages=QUESTION)
        raise AssertionError("no error")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found"
    try:
        client.chat.completions.create(model=model, messages=QUESTION, temperature=9)
        raise AssertionError("no error")
    except openai.BadRequestError as error:
        assert error.param == "temperature"


run(
    [
        models,
        chat_whole_and_streamed,
        chat_stream_helper,
        chat_logprobs_and_n,
        tools_round_trip,
        tools_with_parse_helper,
        structured_output,
        completions_and_scores,
        embeddings,
        responses,
        batches,
        errors_are_typed,
    ]
)
