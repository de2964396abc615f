"""The model server over HTTP: the four protocols, streamed and not, say the same."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.models.script import Script, Turn, play
from support.models.server import ModelServer

SCRIPTS = (
    Script("two", (Turn("First.", shell=("echo a", "echo b")), Turn("Second."))),
    Script("slow", (Turn("Late.", delay_s=0.2),)),
)


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer(*SCRIPTS) as server:
        yield server


def post(model: ModelServer, path: str, body: Any) -> str:
    request = urllib.request.Request(model.url + path, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read().decode())


def events(text: str) -> list[Any]:
    """The data of a stream of events."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


class Messages:
    def ask(self, model: ModelServer, prompt: str, said: list[str], *, streamed: bool) -> tuple[str, list[str]]:
        messages = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
        messages += [{"role": "assistant", "content": [{"type": "text", "text": text}]} for text in said]
        raw = post(model, "/v1/messages?beta=true", {"stream": streamed, "messages": messages, "tools": [{"name": "Bash"}]})
        if not streamed:
            blocks = json.loads(raw)["content"]
            return blocks[0]["text"], [block["input"]["command"] for block in blocks[1:]]
        deltas = [each["delta"] for each in events(raw) if each["type"] == "content_block_delta"]
        return deltas[0]["text"], [json.loads(delta["partial_json"])["command"] for delta in deltas[1:]]


class Responses:
    def ask(self, model: ModelServer, prompt: str, said: list[str], *, streamed: bool) -> tuple[str, list[str]]:
        items = [{"role": "user", "content": [{"type": "input_text", "text": prompt}]}]
        items += [{"role": "assistant", "content": [{"type": "output_text", "text": text}]} for text in said]
        tools = [{"type": "function", "name": "exec_command"}]
        raw = post(model, "/v1/responses", {"stream": streamed, "input": items, "tools": tools})
        output = events(raw)[-1]["response"]["output"] if streamed else json.loads(raw)["output"]
        if streamed:
            assert [each["item"] for each in events(raw) if each["type"] == "response.output_item.done"] == output
        return output[0]["content"][0]["text"], [json.loads(item["arguments"])["cmd"] for item in output[1:]]


class Chat:
    def ask(self, model: ModelServer, prompt: str, said: list[str], *, streamed: bool) -> tuple[str, list[str]]:
        messages = [{"role": "user", "content": prompt}, *({"role": "assistant", "content": text} for text in said)]
        tools = [{"type": "function", "function": {"name": "bash"}}]
        raw = post(model, "/v1/chat/completions", {"stream": streamed, "messages": messages, "tools": tools})
        if streamed:
            deltas = [choice["delta"] for each in events(raw) for choice in each["choices"]]
            text = "".join(delta.get("content", "") for delta in deltas)
            calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
            assert [call["index"] for call in calls] == list(range(len(calls)))
        else:
            message = json.loads(raw)["choices"][0]["message"]
            text, calls = message["content"], message.get("tool_calls", [])
        return text, [json.loads(call["function"]["arguments"])["command"] for call in calls]


class Gemini:
    def ask(self, model: ModelServer, prompt: str, said: list[str], *, streamed: bool) -> tuple[str, list[str]]:
        contents = [{"role": "user", "parts": [{"text": prompt}]}, *({"role": "model", "parts": [{"text": t}]} for t in said)]
        tools = [{"functionDeclarations": [{"name": "run_shell_command"}]}]
        verb = "streamGenerateContent?alt=sse" if streamed else "generateContent"
        raw = post(model, f"/v1beta/models/gemini-2.5-pro:{verb}", {"contents": contents, "tools": tools})
        tree = events(raw)[0] if streamed else json.loads(raw)
        parts = tree["candidates"][0]["content"]["parts"]
        return parts[0]["text"], [part["functionCall"]["args"]["command"] for part in parts[1:]]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("protocol", [Messages(), Responses(), Chat(), Gemini()], ids=lambda each: type(each).__name__)
def test_a_conversation_of_two_turns(model: ModelServer, protocol: Any, streamed: bool) -> None:
    prompt = f"Go {play('two')}"
    first, commands = protocol.ask(model, prompt, [], streamed=streamed)
    assert (first, commands) == ("First. (turn two 0)", ["echo a", "echo b"])
    assert protocol.ask(model, prompt, [first], streamed=streamed) == ("Second. (turn two 1)", [])


def test_conversations_at_once_do_not_disturb_each_other(model: ModelServer) -> None:
    def converse(name: str) -> str:
        return Chat().ask(model, play(name), [], streamed=False)[0]

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(converse, ["two", "slow"] * 8))
    assert said == ["First. (turn two 0)", "Late. (turn slow 0)"] * 8


def test_what_was_played_is_noted() -> None:
    with ModelServer(*SCRIPTS) as server:
        Messages().ask(server, play("two"), [], streamed=False)
        (played,) = server.played
    assert (played.script, played.number, played.tools) == ("two", 0, ("Bash", "Bash"))


def test_a_new_model_of_codex_offers_its_tools_within_the_conversation(model: ModelServer) -> None:
    items = [{"type": "tools", "tools": [{"type": "custom", "name": "exec"}]}, {"role": "user", "content": play("two")}]
    output = json.loads(post(model, "/v1/responses", {"input": items}))["output"]
    assert output[1]["type"] == "custom_tool_call"
    assert output[1]["input"].count("tools.exec_command") == 2


def test_what_is_no_request_of_a_protocol_is_refused(model: ModelServer) -> None:
    for body in ([], {"messages": 3}, {"messages": ["x"]}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(model, "/v1/messages", body)
        assert refused.value.code == 400
        refused.value.close()


def test_other_routes_are_answered_harmlessly(model: ModelServer) -> None:
    assert json.loads(post(model, "/v1/messages/count_tokens", {}))["input_tokens"] == 10
    assert json.loads(post(model, "/v1beta/models/m:countTokens", {}))["totalTokens"] == 10
