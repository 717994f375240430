// Porcupine's search on the etcd histories, to compare with: prints the seconds of processor time of each turn, reading
// and parsing left out. Started by bench/checking.py as `porcupine FOLDER TURNS`.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/anishathalye/porcupine"
)

const none = -1 // nil: nothing was written yet

type input struct {
	op       string
	from, to int
}

type output struct {
	ok, unknown bool
	value       int
}

var model = porcupine.Model{
	Init: func() interface{} { return none },
	Step: func(state, in, out interface{}) (bool, interface{}) {
		call, answer, now := in.(input), out.(output), state.(int)
		switch call.op {
		case "read":
			return answer.unknown || answer.value == now, now
		case "write":
			return true, call.to
		}
		found := call.from == now
		if found {
			now = call.to
		}
		return answer.unknown || answer.ok == found, now
	},
}

var line = regexp.MustCompile(`^INFO\s+jepsen\.util - (\d+)\s+:(\S+)\s+:(\S+)\s+(.+?)\s*$`)

func number(text string) int {
	if value, err := strconv.Atoi(text); err == nil {
		return value
	}
	return none
}

func pair(text string) (int, int) {
	if !strings.HasPrefix(text, "[") {
		return none, number(text)
	}
	fields := strings.Fields(strings.Trim(text, "[]"))
	return number(fields[0]), number(fields[1])
}

// events reads one file. What nobody knows the outcome of returns at the end, with an unknown answer; a read of which
// nobody knows says nothing, which is the same.
func events(path string) []porcupine.Event {
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	var found []porcupine.Event
	open := map[string]int{}
	ids := 0
	for _, one := range strings.Split(string(text), "\n") {
		match := line.FindStringSubmatch(one)
		if match == nil {
			continue
		}
		process, kind, op, shown := match[1], match[2], match[3], match[4]
		client, from, to := number(process), none, none
		if kind == "invoke" {
			from, to = pair(shown)
			open[process] = ids
			found = append(found, porcupine.Event{
				ClientId: client, Kind: porcupine.CallEvent, Value: input{op, from, to}, Id: ids})
			ids++
			continue
		}
		if kind == "info" {
			continue
		}
		answer := output{ok: kind == "ok", unknown: shown == ":timed-out", value: number(shown)}
		found = append(found, porcupine.Event{
			ClientId: client, Kind: porcupine.ReturnEvent, Value: answer, Id: open[process]})
		delete(open, process)
	}
	for _, id := range open {
		found = append(found, porcupine.Event{Kind: porcupine.ReturnEvent, Value: output{unknown: true}, Id: id})
	}
	return found
}

func used() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func main() {
	paths, _ := filepath.Glob(filepath.Join(os.Args[1], "*.log"))
	turns := number(os.Args[2])
	var histories [][]porcupine.Event
	for _, path := range paths {
		histories = append(histories, events(path))
	}
	legal := 0
	for turn := 0; turn < turns; turn++ {
		legal = 0
		began := used()
		for _, history := range histories {
			if porcupine.CheckEvents(model, history) {
				legal++
			}
		}
		fmt.Println(used() - began)
	}
	fmt.Fprintln(os.Stderr, "legal", legal, "of", len(histories))
}
