"""``clawlog contract``: from first contact with a server to a contract by hand, with a real daemon and real servers."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import pytest

from process.cli.conftest import Clawlog
from support.foreign.held import Held, Task
from support.foreign.running import served, without_document
from support.foreign.written import EnvelopedServer, IndexedServer, StrictServer
from support.installation import CLAWLOG, Installation, temporary_installation, wait_until

ELSEWHERE = "http://192.0.2.7:8000"


@pytest.fixture(scope="module")
def place() -> Iterator[Installation]:
    """An installation of a daemon alone, with a file of settings that a reload reads."""
    with temporary_installation() as made:
        made.env |= {"CLAWLOG_CONFIG": str(made.folder / "clawlog.toml"), "CLAWLOG_BASE_URL": "http://127.0.0.1:9"}
        (made.folder / "clawlog.toml").touch()
        made.start_daemon()
        yield made


def task_named(held: Held, title: str) -> Task:
    (found,) = (each for each in held.tasks.values() if each.title == title)
    return found


def test_a_contract_that_was_found_serves_without_the_document_once_it_is_kept(place: Installation, clawlog: Clawlog) -> None:
    with served(StrictServer().app) as url:
        ran = clawlog(place, "contract", "show", url)
        assert (ran.status, ran.stderr) == (0, "")
        assert f"● found   {url}\nOpenAPI document at /openapi.json\n" in ran.stdout
        assert "✓  step        PATCH /api/v1/steps/{step_id}  " in ran.stdout
        saved = clawlog(place, "contract", "show", url, "--toml")
        assert (saved.status, saved.stderr) == (0, "")
    own = place.folder / "strict.toml"
    own.write_text(saved.stdout, encoding="utf-8")
    server = StrictServer()
    with served(without_document(server.app)) as url:
        assert clawlog(place, "contract", "show", url).status == 75
        ran = clawlog(place, "contract", "try", url, "--contract", str(own))
        assert (ran.status, ran.stderr) == (0, "")
        assert "everything was taken" in ran.stdout
        (place.folder / "clawlog.toml").write_text(f'[[backend]]\nbase_url = "{url}"\ncontract = "{own}"\n')
        place.started[0].send_signal(signal.SIGHUP)
        wait_until(lambda: clawlog(place, "contract", "show", url).status == 0, "the settings are read again")
        assert str(own) in clawlog(place, "contract", "show", url).stdout
        with place.client() as client:
            task = client.create_task("Kept by hand", ["one"], base_url=url)
            client.update_step(task.task_id, 1, "done", summary="well")
            assert client.flush().flushed
    kept = task_named(server.held, "Kept by hand")
    assert [step.told for step in kept.steps] == [[("running", None), ("done", "well")]]
    assert server.held.misused == []


def test_a_trial_says_what_was_taken_and_what_came_back(place: Installation, clawlog: Clawlog) -> None:
    server = EnvelopedServer()
    with served(server.app) as url:
        ran = clawlog(place, "contract", "try", url)
        assert (ran.status, ran.stderr) == (0, "")
        assert "✓  step 2 is done                                     PATCH /api/tasks/{task_id}/steps/{step_id}" in ran.stdout
        assert "HTTP 409, as it should: nobody asked for a stop" in ran.stdout
        (task,) = server.held.tasks.values()
        assert ran.stdout.endswith(f"everything was taken; the task is {task.key}: {task.title}\n")
        own = place.folder / "wrong.toml"
        shown = clawlog(place, "contract", "show", url, "--toml").stdout
        own.write_text(shown.replace('"/api/tasks/{task_id}/heartbeat"', '"/api/tasks/{task_id}/beat"'), encoding="utf-8")
        ran = clawlog(place, "contract", "try", url, "--contract", str(own))
    assert (ran.status, ran.stderr) == (1, "")
    (beat,) = (line for line in ran.stdout.splitlines() if "a heartbeat" in line)
    assert beat.startswith("✗  ")
    assert "HTTP 404" in beat
    assert "✓  step 2 is done" in ran.stdout
    assert "not everything was taken" in ran.stdout


def test_a_server_of_another_machine_is_not_touched_without_a_yes(place: Installation, clawlog: Clawlog) -> None:
    ran = clawlog(place, "contract", "try", ELSEWHERE)
    assert (ran.status, ran.stdout) == (2, "")
    assert f"{ELSEWHERE} is on another machine" in ran.stderr
    assert "--yes" in ran.stderr
    for own in ("http://localhost:9", "http://127.0.0.1:9", "http://[::1]:9"):
        assert clawlog(place, "contract", "try", own).status == 1  # tried: nobody is there


def test_a_server_of_another_machine_is_tried_with_a_yes(place: Installation, clawlog: Clawlog) -> None:
    server = EnvelopedServer()
    with served(server.app) as url:
        # A name that leads here and does not say so: any address but loopback's own is another machine's.
        elsewhere = url.replace("127.0.0.1", "0.0.0.0")
        assert clawlog(place, "contract", "try", elsewhere).status == 2
        assert server.held.tasks == {}
        assert clawlog(place, "contract", "try", elsewhere, "--yes").status == 0
    assert len(server.held.tasks) == 1


def test_where_there_is_no_contract_the_status_and_the_doctor_say_what_helps(fresh: Installation, clawlog: Clawlog) -> None:
    server = IndexedServer()
    with served(without_document(server.app)) as url:
        fresh.env["CLAWLOG_BASE_URL"] = url
        fresh.start_daemon()
        with fresh.client() as client:
            client.create_task("Waits", ["one"])
            wait_until(lambda: client.daemon_status()["backends"][0]["state"] == "no_contract", "the creation is refused")
        ran = clawlog(fresh, "status")
        assert ran.status == 1
        assert f"{url} is not spoken to, for it is not known how (it has no OpenAPI document that can be read" in ran.stdout
        assert f"see: clawlog contract show {url}" in " ".join(ran.stdout.split())
        assert "docs/foreign-servers.md" in ran.stdout
        assert [line.split()[1:3] for line in ran.stdout.splitlines() if line.startswith(url)] == [["no", "contract"]]
        findings = clawlog(fresh, "doctor", "--json").json["findings"]
        (found,) = (each for each in findings if each["check"] == "contract")
        assert (found["verdict"], found["advice"]) == ("fault", f"clawlog contract show {url}")
        wait_until(lambda: clawlog(fresh, "contract", "show").status == 1, "there is none, also after another try")
        ran = clawlog(fresh, "contract", "show", "--toml")
        assert ran.status in {1, 75}  # it is tried anew now and then
        assert ran.stderr == f"clawlog: no contract is known for {url}: this is the standard one, to begin with\n"
        assert 'path = "/api/tasks"' in ran.stdout
    assert server.held.tasks == {}


def test_the_doctor_says_of_each_backend_how_it_is_spoken_to(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.start_backend()
    standard = fresh.env["CLAWLOG_BASE_URL"]
    with served(EnvelopedServer().app) as url:
        fresh.env["CLAWLOG_BASE_URL"] = url
        fresh.start_daemon()
        with fresh.client() as client:
            client.create_task("There", base_url=standard)
            assert client.flush().flushed
        ran = clawlog(fresh, "doctor")
        assert (ran.status, ran.stdout.splitlines()[-1]) == (0, "nothing is wrong")
        assert f"✓ backend  {url}, which is spoken to in its own way\n" in ran.stdout
        assert f"✓ contract {url} is spoken to in its own way (OpenAPI document at /openapi.json)\n" in ran.stdout
        assert f"✓ contract {standard} is spoken to as the standard contract says (" in ran.stdout
        assert clawlog(fresh, "status").stdout.splitlines()[1].startswith("● daemon ok")


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        ("create = ", 2, "no contract in TOML"),
        ("at = 2026-01-01\n", 2, "no contract in TOML"),
        ('[create]\nmethod = "GET', 2, "no contract in TOML"),
        ('[create]\nmethod = "POST"\npath = "tasks"\n', 65, "$.create.path"),
        (f'source = "{"x" * 70_000}"\n', 2, "too long"),
        (None, 2, "cannot be read"),
    ],
    ids=["no toml", "a date", "cut", "no contract", "too long", "missing"],
)
def test_a_file_that_is_no_contract_is_refused(
    content: str | None, status: int, said: str, place: Installation, clawlog: Clawlog
) -> None:
    path = place.folder / "bad.toml"
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_text(content)
    ran = clawlog(place, "contract", "try", "http://127.0.0.1:9", "--contract", str(path))
    assert (ran.status, ran.stdout) == (status, "")
    assert said in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["show", "localhost:8000"], 65, "is not an http:// or https:// address"),
        (["show", "--toml", "--json"], 2, "Use one of --toml and --json."),
        (["try"], 2, "Missing argument"),
        (["try", "http://[::1"], 2, "is no address"),
        (["try", "localhost:8000"], 65, "is not an http:// or https:// address"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    arguments: list[str], status: int, said: str, place: Installation, clawlog: Clawlog
) -> None:
    ran = clawlog(place, "contract", *arguments)
    assert (ran.status, ran.stdout) == (status, "")
    assert said in ran.stderr


def test_without_a_daemon_it_is_said(fresh: Installation, clawlog: Clawlog) -> None:
    assert clawlog(fresh, "contract", "show").status == 69


def test_the_shell_completes_the_backends(place: Installation) -> None:
    env = {**place.env, "_CLAWLOG_COMPLETE": "bash_complete", "COMP_WORDS": "clawlog contract show http", "COMP_CWORD": "3"}
    done = subprocess.run(CLAWLOG, env=env, check=False, capture_output=True, text=True, timeout=20)
    assert "plain,http://127.0.0.1:9" in done.stdout.splitlines()
