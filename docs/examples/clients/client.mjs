// A whole client of clawlogd for Node, without a library: node client.mjs TITLE SECONDS
import net from "node:net";
import readline from "node:readline";

function socketPath(env = process.env) {
  if (env.CLAWLOG_SOCKET) return env.CLAWLOG_SOCKET.replace(/^unix:/, "");
  if (env.CLAWLOG_STATE_DIR) return `${env.CLAWLOG_STATE_DIR}/run/clawlogd.sock`;
  return `${env.XDG_RUNTIME_DIR}/clawlog/clawlogd.sock`;
}

class Daemon {
  #socket = net.connect(socketPath());
  #waiting = []; // replies come in the order of the requests
  #failure;

  constructor() {
    readline.createInterface({ input: this.#socket }).on("line", (line) => {
      const { error, result } = JSON.parse(line);
      const { resolve, reject } = this.#waiting.shift();
      error ? reject(new Error(`${error.data?.code}: ${error.message}`)) : resolve(result);
    });
    this.#socket.on("error", (error) => (this.#failure = error));
    this.#socket.on("close", () => {
      this.#failure ??= new Error("the daemon closed the connection");
      for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
    });
  }

  call(method, params = {}) {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      this.#waiting.push({ resolve, reject });
      this.#socket.write(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }) + "\n");
    });
  }

  close() {
    this.#socket.end();
  }
}

const [title = "A task from Node", seconds = "1"] = process.argv.slice(2);
const steps = ["fetch", "build", "publish"];
const daemon = new Daemon();
const { task_id } = await daemon.call("task.create", { title, steps, watch_pid: process.pid });
let stop;
for (const step of steps) {
  await daemon.call("step.update", { task_id, step, status: "running" });
  stop = await daemon.call("interrupt.check", { task_id, wait_s: Number(seconds) }); // the work; a stop ends the wait
  if (stop.interrupt_requested) break;
  await daemon.call("step.update", { task_id, step, status: "done", summary: `${step} is done` });
}
if (stop.interrupt_requested) await daemon.call("interrupt.ack", { task_id, summary: "stopped between two steps" });
else await daemon.call("task.update", { task_id, status: "done" });
console.log(task_id, stop.interrupt_requested ? `stopped: ${stop.reason}` : "done");
daemon.close();
