// The plugin for OpenCode: reports its sessions, and ends a session's loop at the next tool where a person asked it to stop.
import path from "node:path"
import { fileURLToPath } from "node:url"
import { beginning, connect, quietly } from "./plugin.js"

const MAX_SESSIONS = 1000

export async function plugin({ client, directory }) {
  const hook = connect(path.dirname(fileURLToPath(import.meta.url)), "opencode")
  const parents = new Map()
  const errors = new Map()
  const open = new Set()

  const root = (session) => {
    for (let depth = 0; depth < 10 && parents.has(session); depth++) session = parents.get(session)
    return session
  }
  const remember = (map, key, value) => {
    map.set(key, value)
    if (map.size > MAX_SESSIONS) map.delete(map.keys().next().value)
  }
  const report = (event, session, input, output, more) => {
    open.add(root(session))
    if (open.size > MAX_SESSIONS) open.delete(open.values().next().value)
    hook.report(event, { cwd: directory, root: root(session), input, output, ...more })
  }
  const abort = (id) => quietly(() => client.session.abort({ path: { id } })?.catch?.(() => {}))

  const handlers = {
    "session.created": ({ info }) => {
      if (info.parentID) remember(parents, info.id, info.parentID)
      const { id, parentID, version } = info
      return { sessionID: id, info: { id, parentID, version, directory: info.directory } }
    },
    "session.deleted": ({ sessionID, info }) => ({ sessionID: sessionID ?? info.id }),
    "session.error": ({ sessionID, error }) => {
      if (sessionID) remember(errors, sessionID, error?.name ?? "error")
    },
    "session.idle": ({ sessionID }) => {
      const name = errors.get(sessionID)
      errors.delete(sessionID)
      return { sessionID, error: name && { name } }
    },
    "todo.updated": ({ sessionID, todos }) => ({
      sessionID,
      todos: todos.map(({ content, status }) => ({ content: beginning(content), status })),
    }),
    "permission.asked": ({ sessionID, permission }) => ({ sessionID, permission }),
    "question.asked": ({ sessionID, questions }) => ({
      sessionID,
      questions: questions?.slice(0, 1).map(({ question }) => ({ question: beginning(question) })),
    }),
  }

  return {
    event: async ({ event }) =>
      quietly(() => {
        const properties = handlers[event.type]?.(event.properties)
        if (properties) report(`event.${event.type}`, properties.sessionID, { properties })
        if (event.type === "session.deleted") {
          open.delete(properties.sessionID)
          parents.delete(properties.sessionID)
        }
      }),

    "chat.message": async ({ sessionID }, output) =>
      quietly(() => {
        const said = output.parts.find((part) => part.type === "text" && !part.synthetic && part.text?.trim())
        if (!said || root(sessionID) !== sessionID) return
        hook.lift(sessionID)
        report("chat.message", sessionID, { sessionID }, { parts: [{ type: "text", text: beginning(said.text.trim()) }] })
      }),

    "tool.execute.before": async (input) => {
      const { sessionID, tool } = input ?? {}
      const session = quietly(() => root(sessionID)) ?? sessionID
      const told = hook.hold(session)
      if (told === undefined) {
        if (!hook.sign(session, "before", tool)) quietly(() => report("tool.execute.before", sessionID, { sessionID, tool }))
        return
      }
      quietly(() => report("tool.execute.before", sessionID, { sessionID, tool }, undefined, { held: true }))
      // Not awaited: the abort then finds the tool refused already, and ends the loop.
      abort(sessionID)
      if (session !== sessionID) abort(session)
      throw new Error(told)
    },

    "tool.execute.after": async ({ sessionID, tool }, output) =>
      quietly(() => {
        const status = output?.metadata?.exit
        hook.sign(root(sessionID), "after", tool, typeof status === "number" && status !== 0)
      }),

    dispose: async () =>
      quietly(() => {
        for (const session of open) report("dispose", session)
        open.clear()
      }),
  }
}
