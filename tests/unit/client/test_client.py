from __future__ import annotations

import threading
from pathlib import Path

import pytest

from clawlog.client import Client
from clawlog.connection import calls
from clawlog.connection.results import Accepted, Beat, CreatedTask, Flushed, StepHandle, StopPhase, StopState
from clawlog.connection.values import NewStep, PlannedStep, Progress
from clawlog.errors import BadAddress, DaemonUnreachable, ProtocolViolation, Refused
from clawlog.protocol.errors import SHUTTING_DOWN, UNKNOWN_STEP, RpcError
from support.scripted_daemon import NO_STOP, STOP, UNKNOWN, CurveKeys, ScriptedDaemon, Trick, on_unix_socket, on_zeromq


@pytest.fixture
def client(daemon: ScriptedDaemon, env: dict[str, str]) -> Client:
    with Client(daemon.address, env=env) as connected:
        yield connected


def test_creates_a_task_and_names_it_by_itself(daemon: ScriptedDaemon, client: Client) -> None:
    task = client.create_task(
        "部署", ["检查", NewStep("write", "s-2")], summary="x", watch_pid=7, lease_s=30, metadata={"a": "b"}
    )
    sent = daemon.only("task.create")
    assert sent["steps"] == ["检查", {"title": "write", "step_id": "s-2"}]
    assert (sent["watch_pid"], sent["lease_s"], sent["metadata"], sent["summary"]) == (7, 30, {"a": "b"}, "x")
    assert "base_url" not in sent, "what was not given must not be sent as null"
    assert task == CreatedTask(
        task_id=sent["task_id"],
        title="部署",
        base_url="http://localhost:8000",
        steps=(
            StepHandle(f"{sent['task_id']}-1", 1, "检查", "pending"),
            StepHandle(f"{sent['task_id']}-2", 2, "write", "pending"),
        ),
    )


def test_a_tasks_page_folder_and_parent(daemon: ScriptedDaemon, client: Client) -> None:
    polite = daemon.answers["task.create"]
    daemon.answers["task.create"] = lambda params: {**polite(params), "url": "http://localhost:8000/tasks/t"}
    created = client.create_task("T", task_id="t", cwd="/work", parent_task_id="p")
    assert created.url == "http://localhost:8000/tasks/t"
    sent = daemon.only("task.create")
    assert (sent["cwd"], sent["parent_task_id"]) == ("/work", "p")


def test_a_plan_is_sent_whole_and_read_whole(daemon: ScriptedDaemon, client: Client) -> None:
    planned = client.plan_task("t", ["a", NewStep("b", "s-b"), PlannedStep("c", "done"), PlannedStep("d", step_id="s-d")])
    assert daemon.only("task.plan")["steps"] == [
        {"title": "a"},
        {"title": "b", "step_id": "s-b"},
        {"title": "c", "status": "done"},
        {"title": "d", "step_id": "s-d"},
    ]
    assert [(each.step_id, each.position, each.status) for each in planned.steps] == [
        ("s-1", 1, "pending"),
        ("s-b", 2, "pending"),
        ("s-3", 3, "done"),
        ("s-d", 4, "pending"),
    ]
    assert (planned.pending, planned.spooled) == (1, False)


def test_a_step_is_added_behind_another(daemon: ScriptedDaemon, client: Client) -> None:
    added = client.add_step("t", "found", step_id="s", after="build", event_id="e")
    assert added.step == StepHandle("s", 9, "found", "pending")
    assert daemon.only("step.add") == {"task_id": "t", "title": "found", "step_id": "s", "after": "build", "event_id": "e"}
    client.add_step("t", "another")
    assert len(daemon.requests[-1].params["step_id"]) == 36, "known before it is sent, so that a repetition names the same"


def test_metadata_is_changed_and_removed(daemon: ScriptedDaemon, client: Client) -> None:
    assert client.annotate_task("t", {"a": "b", "c": None}, event_id="e") == Accepted("e", 1)
    assert daemon.only("task.annotate")["metadata"] == {"a": "b", "c": None}, "null is a word of this verb"


def test_links_have_a_name_or_none(daemon: ScriptedDaemon, client: Client) -> None:
    client.link_task("t", "https://example.org/1", name="pull request", event_id="e")
    assert daemon.only("task.link") == {
        "task_id": "t",
        "url": "https://example.org/1",
        "name": "pull request",
        "event_id": "e",
    }


def test_whole_numbers_of_a_progress_stay_whole(daemon: ScriptedDaemon, client: Client) -> None:
    client.update_step("t", 1, "running", progress=Progress(318, 2480, "files"))
    client.heartbeat("t", progress=Progress(0.5))
    assert repr(daemon.only("step.update")["progress"]) == "{'done': 318, 'total': 2480, 'unit': 'files'}"
    assert daemon.only("task.heartbeat")["progress"] == {"done": 0.5}


def test_every_event_verb_mints_an_event_id(daemon: ScriptedDaemon, client: Client) -> None:
    client.update_task("t", "done", summary="all well")
    client.update_step("t", 1, "running")
    client.ack_interrupt("t", interrupt_id="i")
    client.plan_task("t", ["a"])
    client.add_step("t", "b")
    client.link_task("t", "https://example.org")
    client.annotate_task("t", {"a": None})
    ids = [each.params["event_id"] for each in daemon.requests]
    assert len(set(ids)) == 7
    assert all(each[14] == "7" for each in ids), "UUIDs of version 7"


def test_a_callers_event_id_is_kept(daemon: ScriptedDaemon, client: Client) -> None:
    assert client.update_step("t", "write", "done", event_id="mine") == Accepted("mine", 1)
    assert daemon.only("step.update") == {"task_id": "t", "step": "write", "status": "done", "event_id": "mine"}


def test_reads_each_verbs_answer(daemon: ScriptedDaemon, client: Client) -> None:
    daemon.answers["task.heartbeat"] = {"accepted": True, "next_in_s": 14, "summary_truncated": True}
    assert client.heartbeat("t", summary="s", lease_s=60, watch_pid=3) == Beat(14.0, summary_truncated=True)
    assert client.check_interrupt("t", max_age_s=1) == StopState(StopPhase.NONE, age_s=0.25)
    assert client.flush(timeout_s=3, task_id="t") == Flushed(flushed=True, pending=0)
    assert client.get_task("t")["status"] == "running"
    assert client.list_tasks(active=True) == {"tasks": []}
    assert client.daemon_status()["protocol"] == 1
    assert client.list_dead_letters() == {"dead_letters": []}
    client.retry_dead_letters(["e"])
    client.drop_dead_letters()
    assert daemon.only("deadletter.retry") == {"event_ids": ["e"]}
    assert daemon.only("deadletter.drop") == {"all": True}


def test_a_requested_stop_is_told_with_its_reason(daemon: ScriptedDaemon, client: Client) -> None:
    daemon.answers["interrupt.check"] = STOP
    stop = client.check_interrupt("t")
    assert stop.interrupt_requested
    assert (stop.interrupt_id, stop.reason, stop.requested_at) == ("stop-1", "wrong branch", "2026-01-02T03:04:05.678Z")


def test_a_refusal_is_raised_with_code_name_and_data(daemon: ScriptedDaemon, client: Client) -> None:
    daemon.answers["step.update"] = RpcError(UNKNOWN_STEP, "no step 'x'", steps=["a", "b"])
    with pytest.raises(Refused, match="no step 'x'") as caught:
        client.update_step("t", "x", "done")
    assert (caught.value.code, caught.value.name, caught.value.data["steps"]) == (UNKNOWN_STEP, "unknown_step", ["a", "b"])
    assert client.check_interrupt("t").state is StopPhase.NONE, "the connection goes on after a refusal"


def test_a_lost_connection_is_made_anew_and_the_same_event_repeated(daemon: ScriptedDaemon, client: Client) -> None:
    polite = daemon.answers["step.update"]
    tricks = [Trick.HANG_UP]
    daemon.answers["step.update"] = lambda params: tricks.pop() if tricks else polite(params)
    client.update_step("t", 1, "done")
    first, second = daemon.requests
    assert first.params == second.params
    assert daemon.connections == 2


def test_only_what_was_not_answered_is_repeated(daemon: ScriptedDaemon, client: Client) -> None:
    tricks = [Trick.HANG_UP]
    polite = daemon.answers["task.update"]
    daemon.answers["task.update"] = lambda params: tricks.pop() if tricks else polite(params)
    outcomes = client.pipeline([calls.heartbeat("t"), calls.update_task("t", "done", event_id="e"), calls.heartbeat("u")])
    assert outcomes == [Beat(15.0), Accepted("e", 1), Beat(15.0)]
    assert daemon.methods == ["task.heartbeat", "task.update", "task.update", "task.heartbeat"]


def test_a_connection_that_is_lost_each_time_is_given_up(daemon: ScriptedDaemon, client: Client) -> None:
    daemon.answers["task.update"] = Trick.HANG_UP
    with pytest.raises(DaemonUnreachable, match="lost"):
        client.update_task("t", "done")
    assert daemon.methods == ["task.update"] * 3


def test_a_silent_daemon_is_a_time_out_and_its_late_answer_is_nobody_elses(daemon: ScriptedDaemon, env: dict[str, str]) -> None:
    daemon.answers["task.list"] = Trick.SILENCE
    with Client(daemon.address, env=env, timeout_s=0.1) as client:
        with pytest.raises(DaemonUnreachable, match="in time"):
            client.list_tasks()
        assert client.heartbeat("t") == Beat(15.0)


def test_waiting_verbs_are_given_their_time(daemon: ScriptedDaemon, env: dict[str, str]) -> None:
    released = threading.Event()

    def slowly(params: object) -> dict[str, object]:
        released.wait(0.3)
        return NO_STOP

    daemon.answers["interrupt.check"] = slowly
    with Client(daemon.address, env=env, timeout_s=0.1) as client:
        assert client.check_interrupt("t", wait_s=5).state is StopPhase.NONE
    released.set()


def test_something_else_at_the_socket_is_told_as_such(daemon: ScriptedDaemon, client: Client) -> None:
    daemon.answers["daemon.status"] = Trick.GARBAGE
    with pytest.raises(ProtocolViolation, match="Not a reply of clawlogd"):
        client.daemon_status()


def test_an_answer_of_another_version_is_told_as_such(daemon: ScriptedDaemon, client: Client) -> None:
    daemon.answers["daemon.flush"] = {"drained": True}
    with pytest.raises(ProtocolViolation, match=r"daemon\.flush.*another version"):
        client.flush()


def test_what_a_daemon_about_to_go_declines_is_for_the_next_one(daemon: ScriptedDaemon, client: Client) -> None:
    tricks = [RpcError(SHUTTING_DOWN, "going")]
    polite = daemon.answers["task.update"]
    daemon.answers["task.update"] = lambda params: tricks.pop() if tricks else polite(params)
    client.update_task("t", "done")
    first, second = daemon.requests
    assert (first.params, daemon.connections) == (second.params, 2)


def test_a_pipeline_keeps_the_order_and_a_refusal_holds_up_nothing(daemon: ScriptedDaemon, client: Client) -> None:
    daemon.answers["step.update"] = RpcError(UNKNOWN_STEP, "no")
    first, second, third = client.pipeline([calls.heartbeat("t"), calls.update_step("t", 9, "done"), calls.heartbeat("t")])
    assert (first, third) == (Beat(15.0), Beat(15.0))
    assert isinstance(second, Refused)
    assert daemon.connections == 1


def test_a_long_pipeline_cannot_fill_both_sides_buffers(daemon: ScriptedDaemon, client: Client) -> None:
    long_text = "x" * 2000
    daemon.answers["task.get"] = lambda params: {"echo": params["task_id"]}
    outcomes = client.pipeline([calls.get_task(f"{n}{long_text}") for n in range(3000)])
    assert [each["echo"].removesuffix(long_text) for each in outcomes] == [str(n) for n in range(3000)]


def test_no_daemon_is_told_with_its_address(env: dict[str, str]) -> None:
    with Client(env=env) as client, pytest.raises(DaemonUnreachable, match=r"state/run/clawlogd\.sock"):
        client.heartbeat("t")


def test_a_path_that_no_socket_can_have_is_told_as_such(env: dict[str, str]) -> None:
    with pytest.raises(BadAddress, match="107 bytes"):
        Client("/" + "x" * 200, env=env)


def test_closing_ends_the_connection_and_a_later_call_makes_another(daemon: ScriptedDaemon, client: Client) -> None:
    client.heartbeat("t")
    client.close()
    client.heartbeat("t")
    assert daemon.connections == 2


def test_one_client_can_be_shared_by_threads(daemon: ScriptedDaemon, client: Client) -> None:
    daemon.answers["task.get"] = lambda params: {"echo": params["task_id"]}
    answers: dict[int, object] = {}
    threads = [threading.Thread(target=lambda n=n: answers.setdefault(n, client.get_task(str(n))["echo"])) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: str(n) for n in range(16)}
    assert daemon.connections <= 16
    before = daemon.connections
    for n in range(16):
        client.get_task(str(n))
    assert daemon.connections == before, "connections are kept for later calls"


class TestWatch:
    def test_tells_the_present_state_and_then_each_change(self, daemon: ScriptedDaemon, client: Client) -> None:
        with client.watch_interrupt("t") as watch:
            assert watch.next(5) == StopState(StopPhase.NONE, age_s=0.25)
            assert watch.next(0) is None
            daemon.push(**STOP)
            stop = watch.next(5)
            assert stop is not None
            assert stop.interrupt_requested

    def test_several_changes_are_told_one_by_one(self, daemon: ScriptedDaemon, client: Client) -> None:
        with client.watch_interrupt("t") as watch:
            watch.next(5)
            daemon.push(**UNKNOWN)
            daemon.push(**STOP)
            states = [watch.next(5), watch.next(5)]
            assert [each.state for each in states if each] == [StopPhase.UNKNOWN, StopPhase.REQUESTED]

    def test_a_lost_connection_is_told_and_the_next_call_asks_again(self, daemon: ScriptedDaemon, client: Client) -> None:
        with client.watch_interrupt("t") as watch:
            watch.next(5)
            daemon.hang_up()
            with pytest.raises(DaemonUnreachable):
                watch.next(5)
            assert watch.next(5) == StopState(StopPhase.NONE, age_s=0.25)

    def test_an_unknown_task_is_refused(self, daemon: ScriptedDaemon, client: Client) -> None:
        daemon.answers["interrupt.watch"] = RpcError(-32001, "no such task")
        with client.watch_interrupt("t") as watch, pytest.raises(Refused, match="no such task"):
            watch.next(5)


class TestZeroMq:
    @pytest.fixture
    def client(self, short_dir: Path, env: dict[str, str]) -> Client:
        with on_zeromq(f"ipc://{short_dir}/z") as daemon, Client(daemon.address, env=env) as client:
            self.daemon = daemon
            yield client

    def test_speaks_to_a_router_over_ipc(self, client: Client) -> None:
        assert client.update_step("t", "检查", "done", summary="完成", event_id="e") == Accepted("e", 1)
        assert self.daemon.only("step.update")["summary"] == "完成"

    def test_long_frames_pass_both_ways(self, client: Client) -> None:
        self.daemon.answers["task.get"] = lambda params: {"echo": params["task_id"]}
        text = "长" * 20_000
        assert client.get_task(text)["echo"] == text

    def test_pipelines(self, client: Client) -> None:
        assert client.pipeline([calls.heartbeat(str(n)) for n in range(500)]) == [Beat(15.0)] * 500

    def test_a_unix_address_at_a_zeromq_socket_is_told_as_such(self, client: Client, env: dict[str, str]) -> None:
        with Client(client.address.path, env=env, timeout_s=1) as lost, pytest.raises((ProtocolViolation, DaemonUnreachable)):
            lost.heartbeat("t")

    def test_a_zeromq_address_at_a_unix_socket_is_told_as_such(self, short_dir: Path, env: dict[str, str]) -> None:
        with (
            on_unix_socket(str(short_dir / "u")) as daemon,
            Client(f"zmq:ipc://{daemon.address}", env=env, timeout_s=0.2) as lost,
            pytest.raises(DaemonUnreachable),
        ):
            lost.heartbeat("t")


class TestCurve:
    @pytest.fixture
    def keys(self) -> CurveKeys:
        return CurveKeys.new()

    @pytest.fixture
    def curve_env(self, keys: CurveKeys, env: dict[str, str], tmp_path: Path) -> dict[str, str]:
        secret = tmp_path / "secret"
        secret.touch(mode=0o600)
        secret.write_bytes(keys.client_secret + b"\n")
        return env | {
            "CLAWLOG_ZMQ_SERVER_KEY": keys.server_public.decode(),
            "CLAWLOG_ZMQ_PUBLIC_KEY": keys.client_public.decode(),
            "CLAWLOG_ZMQ_SECRET_KEY_FILE": str(secret),
        }

    def test_speaks_over_tcp_with_the_right_keys(self, keys: CurveKeys, curve_env: dict[str, str]) -> None:
        with on_zeromq("tcp://127.0.0.1:*", keys) as daemon, Client(daemon.address, env=curve_env) as client:
            assert client.pipeline([calls.heartbeat("t")] * 3) == [Beat(15.0)] * 3

    def test_gets_nothing_with_a_wrong_server_key(self, keys: CurveKeys, curve_env: dict[str, str]) -> None:
        wrong = curve_env | {"CLAWLOG_ZMQ_SERVER_KEY": CurveKeys.new().server_public.decode()}
        with on_zeromq("tcp://127.0.0.1:*", keys) as daemon, Client(daemon.address, env=wrong, timeout_s=0.3) as client:
            with pytest.raises(DaemonUnreachable):
                client.heartbeat("t")
            assert daemon.requests == []

    @pytest.mark.parametrize("missing", ["CLAWLOG_ZMQ_SERVER_KEY", "CLAWLOG_ZMQ_PUBLIC_KEY", "CLAWLOG_ZMQ_SECRET_KEY_FILE"])
    def test_names_a_missing_key(self, curve_env: dict[str, str], missing: str) -> None:
        del curve_env[missing]
        with Client("zmq:tcp://127.0.0.1:1", env=curve_env) as client, pytest.raises(BadAddress, match=missing):
            client.heartbeat("t")

    def test_refuses_a_secret_that_others_may_read(self, curve_env: dict[str, str]) -> None:
        Path(curve_env["CLAWLOG_ZMQ_SECRET_KEY_FILE"]).chmod(0o644)
        with Client("zmq:tcp://127.0.0.1:1", env=curve_env) as client, pytest.raises(BadAddress, match="chmod 600"):
            client.heartbeat("t")

    def test_names_pyzmq_when_it_is_missing(self, curve_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "zmq", None)
        with Client("zmq:tcp://127.0.0.1:1", env=curve_env) as client, pytest.raises(BadAddress, match="pip install pyzmq"):
            client.heartbeat("t")
