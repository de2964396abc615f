// The plugin for OpenClaw: reports its sessions, and blocks every tool of one that a person asked to stop.
// A function that throws here would block the tool, too: so none does.
import path from "node:path"
import { fileURLToPath } from "node:url"
import { beginning, connect, quietly } from "./plugin.js"

const MAX_SESSIONS = 1000

export default {
  id: "clawlog",
  register(api) {
    const hook = connect(path.dirname(path.dirname(fileURLToPath(import.meta.url))), "openclaw")
    const folders = new Map()

    const report = (event, context, input, more) => {
      const { sessionKey } = context
      if (!sessionKey) return
      folders.set(sessionKey, context.workspaceDir ?? folders.get(sessionKey))
      if (folders.size > MAX_SESSIONS) folders.delete(folders.keys().next().value)
      const { trigger } = context
      hook.report(event, { input, output: { sessionKey, trigger, workspaceDir: folders.get(sessionKey) }, ...more })
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

    if (process.argv.includes("gateway")) return
    process.once("exit", () => {
      for (const sessionKey of [...folders.keys()]) quietly(() => report("session_end", { sessionKey }, { reason: "exit" }))
    })
  },
}
