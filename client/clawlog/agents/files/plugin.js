// What the plugins for OpenCode and OpenClaw share: the session's files, and the hook itself for what is rarer.
// Nothing here throws and nothing prints: whatever goes wrong, the agent goes on working.
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import fs from "node:fs"
import path from "node:path"

const PLAIN_SESSION = /^(?!\.)[A-Za-z0-9._:-]{1,128}$/
const PLAIN_TOOL = /^[A-Za-z0-9._:/-]{1,100}$/
const MAX_SIGNS_BYTES = 64 * 1024
const MAX_TEXT_CHARS = 400
const TIMEOUT_MS = 1000
const { O_WRONLY, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = fs.constants

/** Calls a function; returns what it returns, or undefined where it fails. */
export function quietly(action) {
  try {
    return action()
  } catch {
    return undefined
  }
}

/** The beginning of a text: of a prompt no more than its first line is reported. */
export const beginning = (text) => (typeof text === "string" ? text.slice(0, MAX_TEXT_CHARS) : undefined)

/** Returns the way to the daemon's files for one agent; `folder` is that of the hook. */
export function connect(folder, agent) {
  const lines = (file) => quietly(() => fs.readFileSync(file, "utf8").split("\n")) ?? []
  const state = process.env.CLAWLOG_STATE_DIR || lines(path.join(folder, "state"))[0]
  const file = (kind, session) => {
    const name = PLAIN_SESSION.test(session) ? session : `sha256-${createHash("sha256").update(session).digest("hex")}`
    return path.join(state, "run", kind, agent, name)
  }

  return {
    /** What the agent is to be told where the session is held; undefined where it is not. */
    hold(session) {
      return quietly(() => fs.readFileSync(file("agent-stops", session), "utf8").split("\n")[1] || "A person asked this session to stop.")
    },

    /** Ends a hold: a person spoke. */
    lift(session) {
      quietly(() => fs.unlinkSync(file("agent-stops", session)))
    },

    /** Leaves a sign of a tool; returns whether there is a place for it. */
    sign(session, when, tool, failed) {
      return quietly(() => {
        const descriptor = fs.openSync(file("signs", session), O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK)
        try {
          const line = `${when} ${PLAIN_TOOL.test(tool) ? tool : "tool"}${failed ? " failed" : ""}\n`
          if (fs.fstatSync(descriptor).size + line.length <= MAX_SIGNS_BYTES) fs.writeSync(descriptor, line)
        } finally {
          fs.closeSync(descriptor)
        }
        return true
      }) ?? false
    },

    /** Reports an event; the hook's own program returns at once, and sends it in the background. */
    report(event, payload) {
      quietly(() =>
        spawnSync(path.join(folder, "hook"), [agent, event], {
          input: JSON.stringify({ at: Date.now(), ...payload }),
          stdio: ["pipe", "ignore", "ignore"],
          timeout: TIMEOUT_MS,
        }),
      )
    },
  }
}
