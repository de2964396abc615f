// A whole client of clawlogd for Go, without a library: go run client.go TITLE SECONDS
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
)

type object = map[string]any

var replies *bufio.Reader
var daemon net.Conn

func call(method string, params object) object {
	if err := json.NewEncoder(daemon).Encode(object{"jsonrpc": "2.0", "id": 1, "method": method, "params": params}); err != nil {
		log.Fatal(err)
	}
	line, err := replies.ReadBytes('\n')
	reply := struct{ Result, Error object }{}
	if err == nil {
		err = json.Unmarshal(line, &reply)
	}
	if err != nil || reply.Error != nil {
		log.Fatal(method, ": ", err, " ", reply.Error["message"])
	}
	return reply.Result
}

func main() {
	path := strings.TrimPrefix(os.Getenv("CLAWLOG_SOCKET"), "unix:")
	if path == "" {
		path = os.Getenv("XDG_RUNTIME_DIR") + "/clawlog/clawlogd.sock"
	}
	var err error
	if daemon, err = net.Dial("unix", path); err != nil {
		log.Fatal(err)
	}
	replies = bufio.NewReader(daemon)
	seconds, _ := strconv.ParseFloat(os.Args[2], 64)
	steps := []string{"fetch", "build", "publish"}
	id := call("task.create", object{"title": os.Args[1], "steps": steps, "watch_pid": os.Getpid()})["task_id"]
	for _, step := range steps {
		call("step.update", object{"task_id": id, "step": step, "status": "running"})
		stop := call("interrupt.check", object{"task_id": id, "wait_s": seconds}) // the work; a stop ends the wait
		if stop["interrupt_requested"] == true {
			call("interrupt.ack", object{"task_id": id, "summary": "stopped between two steps"})
			fmt.Println(id, "stopped:", stop["reason"])
			return
		}
		call("step.update", object{"task_id": id, "step": step, "status": "done", "summary": step + " is done"})
	}
	call("task.update", object{"task_id": id, "status": "done"})
	fmt.Println(id, "done")
}
