"""The words that servers use, in English and Chinese, for what a contract speaks of: of members, routes, statuses and flags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from clawlog.protocol import vocabulary

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_A_WORD = re.compile(r"[^a-z0-9\u4e00-\u9fff]+")


def snake(name: str) -> str:
    """A name in one form: ``stepId``, ``step-id`` and ``STEP_ID`` are ``step_id``."""
    return _NOT_A_WORD.sub("_", _CAMEL.sub("_", name).lower()).strip("_")


def split(text: str) -> set[str]:
    """The words of a name, a path or a sentence."""
    return set(filter(None, snake(text).split("_")))


def camel(name: str) -> str:
    """A name in the other form: ``step_id`` is ``stepId``."""
    first, *rest = name.split("_")
    return first + "".join(each[:1].upper() + each[1:] for each in rest)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# ── Members ────────────────────────────────────────────────────────────────────────────────────────────────────────

MEMBERS: dict[str, frozenset[str]] = {
    "task_id": _names("task_id taskid task tid task_uuid task_key job_id job run_id 任务id 任务_id 任务编号"),
    "step_id": _names("step_id stepid step sid step_uuid step_key stage_id 步骤id 步骤_id 步骤编号"),
    "index": _names("index idx step_index step_idx stepindex"),
    "position": _names(
        "position pos step_position number num no seq sequence step_no step_number step_seq step_num order sort 序号"
    ),
    "title": _names("title name task_title task_name subject label 标题 名称 任务标题 任务名称"),
    "steps": _names("steps step_titles step_names step_list plan stages todos checklist 步骤 步骤列表"),
    "status": _names("status state step_status step_state task_status task_state new_status new_state 状态 步骤状态 任务状态"),
    "summary": _names(
        "summary message msg detail details note notes text description desc comment content info remark remarks body "
        "step_summary task_summary heartbeat_summary ack_summary status_text status_message "
        "progress_text log 摘要 说明 备注 描述 消息"
    ),
    "at": _names("at timestamp ts time occurred_at reported_at sent_at happened_at event_time 时间 时间戳"),
    "event_id": _names("event_id eventid idempotency_key request_id dedup_id dedup_key message_id"),
    "agent": _names("agent agent_name agent_id source client reporter 代理"),
    "metadata": _names("metadata meta tags labels extra"),
    "interrupt_id": _names("interrupt_id stop_id control_id"),
    "done": _names("progress_done done_count current completed_count"),
    "total": _names("progress_total total_count total"),
}
"""What a member stands for → the names that it goes by."""

KIND_NAMES = _names("type kind event event_type event_kind action event_name op operation cmd 类型 事件 事件类型")
"""The names of a member that says what kind of report this is."""

ACKNOWLEDGED_NAMES = _names(
    "ack acked acknowledged interrupt_ack interrupt_acked interrupt_acknowledged stop_acked stop_acknowledged confirmed"
)

WRAPPERS = _names("task step data payload event body params")
"""The names of a member that holds what is meant."""

# ── Routes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

TASK = _names("task tasks job jobs run runs 任务")
STEP = _names("step steps stage stages todo todos 步骤 更新步骤状态 更新步骤")
HEARTBEAT = _names("heartbeat heartbeats beat beats ping keepalive alive 心跳 上报心跳 发送心跳")
ACK = _names("ack acks acknowledge acknowledged acknowledgement acknowledgment confirm 确认中断 确认停止 确认 agent确认停止")
CONTROL = _names("control controls interrupt interrupts stop signal signals command commands 查询控制状态 控制状态 控制")
STOP = _names("stop stops interrupt interrupts cancel abort soft halt kill terminate 停止 软停止 请求软停止 中断")
FOREIGN = _names(
    "comment comments log logs file files attachment attachments user users login logout auth token tokens webhook "
    "webhooks batch bulk delete remove archive restore reset retry restart clone copy export import search stats "
    "metrics health admin settings config subscribe subscription subscriptions notification notifications rename "
    "assign assignee priority label labels tag tags pause resume"
)
"""Words of routes that are about something else."""

# ── Statuses ───────────────────────────────────────────────────────────────────────────────────────────────────────

_OF_STEPS = (
    "pending todo to_do waiting queued not_started created new open idle scheduled 待处理 未开始 等待 待办",
    (
        "running in_progress inprogress doing active started start working progress executing processing begin "
        "begun 进行中 运行中 执行中"
    ),
    "done completed complete success succeeded successful finished finish ok passed closed 完成 已完成 成功",
    "failed fail failure error errored broken 失败 错误 出错",
    "skipped skip ignored ignore omitted 跳过 已跳过",
)
STATUSES: dict[str, Sequence[str]] = {
    **{status: text.split() for status, text in zip(vocabulary.STEP_STATUSES, _OF_STEPS, strict=True)},
    "interrupted": [
        "interrupted",
        "stopped",
        "stop",
        "cancelled",
        "canceled",
        "aborted",
        "halted",
        "interrupt",
        "已停止",
        "中断",
        "已中断",
        "停止",
    ],
    "waiting": ["waiting_for_input", "needs_input", "blocked", "paused", "awaiting_input", "needs_you", "等待输入"],
}
"""Our status → the words that servers have for it, the likeliest first."""

_COMPOUND = 50  # a word that is only a part of what the server says comes behind all others
_STATUS_OF = {word: status for status, words in STATUSES.items() for word in words}


def status_words(values: Iterable[str], wanted: Sequence[str]) -> dict[str, str]:
    """The server's word for each of our statuses, as far as it has one.

    Args:
        values: Its words, as it spells them.
        wanted: The statuses that are looked for.
    """
    found: dict[str, tuple[int, str]] = {}
    for value in values:
        name = snake(value)
        status, rank = _STATUS_OF.get(name), 0
        if status is not None:
            rank = STATUSES[status].index(name)
        elif "_" in name:  # "STEP_DONE", "step.started": the last word that is one
            status = next((_STATUS_OF[word] for word in reversed(name.split("_")) if word in _STATUS_OF), None)
            rank = _COMPOUND
        if status is not None and status in wanted and (status not in found or rank < found[status][0]):
            found[status] = (rank, value)
    return {status: found[status][1] for status in wanted if status in found}


def listed_words(text: str, wanted: Sequence[str] = vocabulary.STEP_STATUSES) -> dict[str, str]:
    """The statuses that a description lists, such as "pending / running / done": at least two, else none is meant."""
    found = status_words(re.findall(r"[A-Za-z_]{2,30}|[\u4e00-\u9fff]{2,6}", text), wanted)
    return found if len(found) >= 2 else {}


# ── Answers ────────────────────────────────────────────────────────────────────────────────────────────────────────

SURE_STOP_FLAGS = (
    "interrupt_requested", "stop_requested", "soft_stop", "soft_stop_requested", "should_stop", "stop", "interrupt",
    "interrupted", "cancel_requested", "want_stop", "need_stop", "is_stop_requested", "stopping", "stop_flag",
    "interrupt_flag", "pending_stop",
)  # fmt: skip
"""Names of members that say nothing else than whether a task is to stop, the likeliest first."""

STOP_FLAGS = (
    *SURE_STOP_FLAGS,
    "action", "command", "signal", "control", "mode", "desired_state", "state",
)  # fmt: skip
"""Names under which an answer may say whether a task is to stop, the likeliest first."""

STOP_VALUES = (
    True, 1, "true", "1", "yes", "soft_stop", "soft-stop", "softstop", "stop", "SOFT_STOP", "STOP", "interrupt",
    "stop_requested", "interrupt_requested", "requested", "stopping", "halt", "abort", "cancel",
)  # fmt: skip
"""Values that mean a stop."""
