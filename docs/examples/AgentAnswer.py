from clawlog import Client

with Client() as client:
    answer = client.agent_event("my-agent", "session-1", "tool.before", tool="shell")
    if answer.decision == "stop":
        raise SystemExit(f"A person has stopped this session: {answer.reason}")
    client.agent_event("my-agent", "session-1", "session.ended")
