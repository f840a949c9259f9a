"""Triton's `tritonclient` against the KServe port, which the environment names as KSERVE_PORT."""

import os
import queue

import numpy as np
import tritonclient.grpc as triton
from checks import arguments, run
from tritonclient.utils import InferenceServerException

_, model = arguments()
client = triton.InferenceServerClient(f"127.0.0.1:{os.environ['KSERVE_PORT']}")
PARAMETERS = {"max_tokens": 5, "temperature": 0.0, "seed": 1}


def _inputs(text, streaming=None):
    made = [triton.InferInput("text_input", [1], "BYTES")]
    made[0].set_data_from_numpy(np.array([text.encode()], dtype=object))
    if streaming is not None:
        made.append(triton.InferInput("streaming", [1], "BOOL"))
        made[1].set_data_from_numpy(np.array([streaming], dtype=bool))
    return made


def it_is_ready_and_describes_its_model():
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
    assert client.get_model_metadata(model).inputs[0].name == "text_input"
    assert client.get_model_config(model).config.input[1].optional


def a_stream_says_what_the_whole_answer_says():
    answer = client.infer(model, _inputs("Hello"), request_id="7", parameters=PARAMETERS)
    assert answer.get_response().id == "7"
    results = queue.Queue()
    client.start_stream(lambda result, error: results.put((result, error)))
    try:
        client.async_stream_infer(model, _inputs("Hello", True), parameters=PARAMETERS)
        text, reasons = b"", []
        while not reasons:
            result, error = results.get(timeout=30)
            assert error is None, error
            text += b"".join(result.as_numpy("text_output"))
            reasons = list(result.as_numpy("finish_reason"))
        assert text == answer.as_numpy("text_output")[0]
        assert reasons == list(answer.as_numpy("finish_reason"))
        client.async_stream_infer("nobody", _inputs("Hello", True))
        result, error = results.get(timeout=30)
        assert result is None and "nobody" in str(error)
    finally:
        client.stop_stream()


def errors_are_statuses():
    for name, parameters, status in [("nobody", {}, "NOT_FOUND"), (model, {"n": 0}, "INVALID_ARGUMENT")]:
        try:
            client.infer(name, _inputs("Hello"), parameters=parameters)
        except InferenceServerException as error:
            assert status in error.status(), error.status()
        else:
            raise AssertionError(f"{name} {parameters} was answered")


run([it_is_ready_and_describes_its_model, a_stream_says_what_the_whole_answer_says, errors_are_statuses])
