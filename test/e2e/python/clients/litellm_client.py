"""`litellm` in front of the server: chats, streams, tools, text completions, embeddings, errors."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # nothing is fetched

import litellm  # noqa: E402
from checks import Skip, arguments, run, skip_without_tools  # noqa: E402

url, model = arguments()
litellm.suppress_debug_info = True
SERVER = {"api_base": f"{url}/v1", "api_key": "none", "max_retries": 0}
QUESTION = [{"role": "user", "content": "What is Troupe?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a place",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def chat_whole_and_streamed():
    asked = {"model": f"openai/{model}", "messages": QUESTION, "temperature": 0, "max_tokens": 24, **SERVER}
    whole = litellm.completion(**asked)
    stream = litellm.completion(**asked, stream=True, stream_options={"include_usage": True})
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text == whole.choices[0].message.content
    assert whole.usage.completion_tokens > 0


def hosted_vllm():
    answer = litellm.completion(model=f"hosted_vllm/{model}", messages=QUESTION, max_tokens=8, **SERVER)
    assert answer.choices[0].message.content


def tools():
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    try:
        answer = litellm.completion(
            model=f"openai/{model}", messages=messages, tools=[WEATHER], temperature=0, max_tokens=64, **SERVER
        )
    except litellm.BadRequestError as error:
        skip_without_tools(error)
    if not answer.choices[0].message.tool_calls:
        raise Skip(f"{model} answers without a call")
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"


def text_completion():
    answer = litellm.text_completion(
        model=f"text-completion-openai/{model}", prompt="Once upon a time", max_tokens=6, logprobs=1, echo=True, **SERVER
    )
    assert answer.choices[0].text.startswith("Once upon a time")


def embedding():
    answer = litellm.embedding(model=f"openai/{model}", input=["one", "two"], **SERVER)
    assert len(answer.data) == 2


def anthropic_messages():
    try:
        answer = litellm.completion(
            model=f"anthropic/{model}", messages=QUESTION, max_tokens=16, api_base=url, api_key="none"
        )
    except litellm.NotFoundError as error:
        raise Skip("no /v1/messages") from error
    assert answer.choices[0].message.content


def errors_are_typed():
    try:
        litellm.completion(model="openai/no-such-model", messages=QUESTION, **SERVER)
        raise AssertionError("no error")
    except litellm.NotFoundError:
        pass
    try:
        litellm.completion(model=f"openai/{model}", messages=[{"role": "user", "content": "word " * 9000}], **SERVER)
        raise AssertionError("no error")
    except litellm.ContextWindowExceededError:
        pass


run([chat_whole_and_streamed, hosted_vllm, tools, text_completion, embedding, anthropic_messages, errors_are_typed])
