"""The faulty backend keeps the contract where it is not told otherwise, and misbehaves as it is told where it is."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import BadStatusLine, HTTPException, IncompleteRead
from typing import Any

import pytest

from faults.backend import HUGE_REPLY_BYTES, FaultyBackend, Misbehaviour, Poison, always, at_random, in_order

_ids = itertools.count()


@pytest.fixture
def backend() -> Iterator[FaultyBackend]:
    made = FaultyBackend()
    made.up()
    yield made
    made.close()


def request(
    backend: FaultyBackend, method: str, path: str, body: object = None, timeout: float = 5.0, **headers: str
) -> tuple[int, Any]:
    sent = urllib.request.Request(
        backend.base_url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}},
    )
    try:
        with urllib.request.urlopen(sent, timeout=timeout) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def event(kind: str = "step_status", **fields: object) -> dict[str, object]:
    return {"event_id": f"e{next(_ids)}", "task_id": "t", "kind": kind, "at": "2026-01-01T00:00:00.000Z", **fields}


def created() -> dict[str, object]:
    return event("task_created", title="T", steps=[{"step_id": "s", "title": "S"}])


def post(backend: FaultyBackend, *events: object, timeout: float = 5.0) -> list[str]:
    status, body = request(backend, "POST", "/api/events", {"events": events}, timeout)
    assert status == 200, body
    return [each["status"] for each in json.loads(body)["results"]]


def test_an_event_is_applied_once_however_often_it_comes(backend: FaultyBackend) -> None:
    first, second = created(), event(step_id="s", status="running", summary="m")
    assert post(backend, first, second) == ["ok", "ok"]
    assert post(backend, second, first) == ["duplicate", "duplicate"]
    assert [change.kind for change in backend.history] == ["task_created", "step_status"]


def test_an_event_of_an_unknown_task_is_rejected(backend: FaultyBackend) -> None:
    assert post(backend, event()) == ["rejected"]
    assert backend.history == []


def test_the_plain_routes_apply_the_same_effects_under_the_servers_own_ids(backend: FaultyBackend) -> None:
    backend.own_ids = True
    offered = {"task_id": "mine", "title": "T", "steps": [{"step_id": "one", "title": "S"}]}
    for _ in range(2):
        _, body = request(backend, "POST", "/api/tasks", offered, Idempotency_Key="k1")
    answer = json.loads(body)
    assert isinstance(answer["task_id"], int)
    path = f"/api/tasks/{answer['task_id']}/steps/{answer['steps'][0]['step_id']}"
    assert request(backend, "PATCH", path, {"status": "done"}, Idempotency_Key="k2")[0] == 200
    assert request(backend, "PATCH", "/api/tasks/mine", {"status": "done"}, Idempotency_Key="k3")[0] == 404
    assert [(change.task_id, change.step_id) for change in backend.history] == [("mine", None), ("mine", "one")]


def test_a_plain_backend_has_no_batch_route(backend: FaultyBackend) -> None:
    backend.plain_only = True
    assert request(backend, "POST", "/api/events", {"events": []})[0] == 404


def test_a_token_is_wanted_when_one_is_set(backend: FaultyBackend) -> None:
    backend.token = "secret"
    assert request(backend, "POST", "/api/events", {"events": []})[0] == 401
    assert request(backend, "POST", "/api/events", {"events": []}, Authorization="Bearer secret")[0] == 200


def test_when_down_it_refuses_connections_and_when_up_it_is_at_the_same_address(backend: FaultyBackend) -> None:
    port = backend.port
    backend.down()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 5):
        pass
    backend.up()
    assert backend.port == port
    assert post(backend, created()) == ["ok"]


@pytest.mark.parametrize(
    ("poison", "expected"), [(Poison.REJECTED, 200), (Poison.WHOLE_422, 422), (Poison.WHOLE_500, 500)], ids=list(Poison)
)
def test_poison_is_turned_down_as_told(backend: FaultyBackend, poison: Poison, expected: int) -> None:
    backend.poison, backend.is_poison = poison, lambda change: change.summary == "bad"
    status, _ = request(backend, "POST", "/api/events", {"events": [created(), event(summary="bad")]})
    assert status == expected
    assert len(backend.history) == (poison is Poison.REJECTED)


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        (Misbehaviour.HANG, TimeoutError),
        (Misbehaviour.TRUNCATE, IncompleteRead),
        (Misbehaviour.RESET_BEFORE, ConnectionResetError),
        (Misbehaviour.RESET_AFTER, ConnectionResetError),
        (Misbehaviour.GARBAGE, BadStatusLine),
    ],
    ids=str,
)
def test_a_spoiled_reply_cannot_be_read(backend: FaultyBackend, what: Misbehaviour, wrong: type[Exception]) -> None:
    backend.policy = in_order([what])
    with pytest.raises((OSError, HTTPException)) as caught:
        post(backend, created(), timeout=0.3)
    reason = getattr(caught.value, "reason", caught.value)
    assert isinstance(reason, wrong)


@pytest.mark.parametrize("what", [Misbehaviour.TRUNCATE, Misbehaviour.RESET_AFTER, Misbehaviour.NOT_JSON], ids=str)
def test_a_reply_that_is_lost_belongs_to_an_effect_that_happened(backend: FaultyBackend, what: Misbehaviour) -> None:
    backend.policy = in_order([what])
    first = created()
    with contextlib.suppress(OSError, HTTPException, ValueError):
        post(backend, first)
    assert len(backend.history) == 1
    assert post(backend, first) == ["duplicate"]


def test_a_dripping_reply_goes_on_and_does_not_end(backend: FaultyBackend) -> None:
    backend.policy = always(Misbehaviour.DRIP)
    body = json.dumps({"events": [created()]}).encode()
    head = b"POST /api/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", backend.port), 5) as caller:
        caller.sendall(head + body)
        chunks = [caller.recv(4096) for _ in range(5)]
    assert b"".join(chunks[1:]).strip(b" ") == b""
    assert len(backend.history) == 1


def test_a_reset_before_executing_leaves_nothing(backend: FaultyBackend) -> None:
    backend.policy = in_order([Misbehaviour.RESET_BEFORE])
    with pytest.raises((ConnectionResetError, urllib.error.URLError)):
        post(backend, created())
    assert backend.history == []


@pytest.mark.parametrize(
    ("what", "status"),
    [
        (Misbehaviour.UNAUTHORIZED, 401),
        (Misbehaviour.TOO_MANY, 429),
        (Misbehaviour.ERROR, 500),
        (Misbehaviour.UNAVAILABLE, 503),
    ],
    ids=str,
)
def test_an_error_status_is_given_without_executing(backend: FaultyBackend, what: Misbehaviour, status: int) -> None:
    backend.policy = always(what)
    assert request(backend, "POST", "/api/events", {"events": [created()]})[0] == status
    assert backend.history == []


def test_wrong_replies_are_wrong(backend: FaultyBackend) -> None:
    backend.policy = in_order([Misbehaviour.WRONG_LENGTH, Misbehaviour.WRONG_FORM, Misbehaviour.HUGE])
    assert post(backend, created(), event()) == ["ok"]
    assert post(backend, created(), event()) == ["maybe", "maybe"]
    assert len(request(backend, "POST", "/api/events", {"events": []})[1]) > HUGE_REPLY_BYTES


def test_a_random_policy_is_the_same_for_the_same_seed() -> None:
    first, second = at_random(0.3, 5), at_random(0.3, 5)
    drawn = [first() for _ in range(1000)]
    assert drawn == [second() for _ in range(1000)]
    assert 200 < sum(what is not None for what in drawn) < 400
    assert set(drawn) == {None, *Misbehaviour}
