// Plays the part of OpenCode or OpenClaw: loads a plugin, calls its functions as a script on stdin says, prints what came of each.
//
// Arguments: AGENT, the plugin's file. stdin: a JSON list of [name, first argument, second argument].
import fs from "node:fs"
import { pathToFileURL } from "node:url"

const [agent, file] = process.argv.slice(2)
const calls = JSON.parse(fs.readFileSync(0, "utf8"))
const module = await import(pathToFileURL(file))
const aborted = []
let functions = {}

if (agent === "opencode") {
  const session = { abort: async ({ path }) => aborted.push(path.id) }
  functions = await Object.values(module)[0]({ client: { session }, directory: "/project" })
} else {
  module.default.register({ on: (name, handler) => (functions[name] = handler) })
}

const results = []
for (const [name, first, second] of calls) {
  try {
    results.push({ returned: (await functions[name]?.(first, second)) ?? null })
  } catch (error) {
    results.push({ thrown: error.message })
  }
}
process.stdout.write(JSON.stringify({ results, aborted }))
