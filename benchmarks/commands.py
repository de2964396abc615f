"""The commands that the benchmarks send, as any program would."""

from __future__ import annotations

from clawlog.protocol.ids import new_uuid


def create(task_id: str, base_url: str | None = None, steps: int = 3) -> bytes:
    """A ``task.create``."""
    where = f',"base_url":"{base_url}"' if base_url else ""
    titles = ",".join(f'"step {number}"' for number in range(1, steps + 1))
    params = f'{{"title":"Benchmark {task_id}","task_id":"{task_id}","steps":[{titles}],"event_id":"{new_uuid()}"{where}}}'
    return f'{{"jsonrpc":"2.0","id":0,"method":"task.create","params":{params}}}'.encode()


def update(task_id: str, number: int) -> bytes:
    """A ``step.update``, with an event id minted now."""
    return (
        b'{"jsonrpc":"2.0","id":%d,"method":"step.update","params":{"task_id":"%s","step":"%d","status":"running",'
        b'"summary":"starting config generation","event_id":"%s"}}'
    ) % (number, task_id.encode(), number % 3 + 1, new_uuid().encode())


def updates(task_id: str, count: int) -> list[bytes]:
    """That many of them, to be sent in order."""
    return [update(task_id, number) for number in range(count)]
