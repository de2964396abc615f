// The plugin for OpenClaw: reports its sessions, and blocks every tool of one that a person asked to stop.
// A function that throws here would block the tool, too: so none does.
import { folder } from "./folder.js" // this file runs from a copy that OpenClaw makes of it
import { beginning, connect, quietly } from "./plugin.js"

const MAX_SESSIONS = 1000

// What all loadings of this file in one process share: OpenClaw loads it several times. A gateway's end is no session's.
const shared = (globalThis[Symbol.for("clawlog.openclaw")] ??= { folders: new Map(), watchesExit: process.argv.includes("gateway") })

export default {
  id: "clawlog",
  register(api) {
    const hook = connect(folder, "openclaw")
    const { folders } = shared

    const report = (event, context, input, more) => {
      const { sessionKey } = context
      if (!sessionKey) return
      folders.set(sessionKey, context.workspaceDir ?? folders.get(sessionKey))
      if (folders.size > MAX_SESSIONS) folders.delete(folders.keys().next().value)
      const { trigger } = context
      hook.report(event, { input, output: { sessionKey, trigger, workspaceDir: folders.get(sessionKey) }, ...more })
      if (shared.watchesExit) return
      shared.watchesExit = true
      process.once("exit", () => {
        for (const session of [...folders.keys()]) quietly(() => report("session_end", { sessionKey: session }, { reason: "exit" }))
      })
    }
    const on = (name, handler) =>
      quietly(() => api.on(name, async (event, context) => quietly(() => handler(event ?? {}, context ?? {}))))

    on("session_start", ({ sessionKey, resumedFrom }, context) => {
      report("session_start", { sessionKey, ...context }, { resumedFrom })
    })
    on("agent_turn_prepare", ({ prompt }, context) => {
      if ((context.trigger ?? "user") !== "user") return
      if (context.sessionKey) hook.lift(context.sessionKey)
      report("agent_turn_prepare", context, { prompt: beginning(prompt?.trim()) })
    })
    on("before_tool_call", ({ toolName }, context) => {
      const session = context.sessionKey
      if (!session) return
      const blockReason = hook.hold(session)
      if (blockReason !== undefined) {
        report("before_tool_call", context, { toolName }, { held: true })
        return { block: true, blockReason }
      }
      if (!hook.sign(session, "before", toolName)) report("before_tool_call", context, { toolName })
    })
    on("after_tool_call", ({ toolName, error }, { sessionKey }) => {
      if (sessionKey) hook.sign(sessionKey, "after", toolName, Boolean(error))
    })
    on("agent_end", ({ success }, context) => {
      report("agent_end", context, { success })
    })
    on("session_end", ({ sessionKey, reason }, context) => {
      report("session_end", { sessionKey, ...context }, { reason })
      folders.delete(context.sessionKey ?? sessionKey)
    })
  },
}
