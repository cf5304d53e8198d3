package cluster

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// startScript runs a shell script as a process, and returns when it says a line.
func startScript(t *testing.T, script string) *Process {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{name: "script", cmd: cmd, done: make(chan struct{})}
	if _, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	go p.reap()
	t.Cleanup(func() { _ = p.Kill() })
	return p
}

func TestTerminate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script   string
		patience time.Duration
		says     string
	}{
		"ends":      {"trap 'exit 0' TERM; echo; while :; do sleep 0.01; done", time.Minute, ""},
		"fails":     {"trap 'exit 3' TERM; echo; while :; do sleep 0.01; done", time.Minute, "exit status 3"},
		"never end": {"trap '' TERM; echo; exec sleep 600", time.Millisecond, "has not ended"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startScript(t, c.script)
			err := p.Terminate(c.patience)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v, want %q", err, c.says)
			}
			select {
			case <-p.Done():
			default:
				t.Error("the process is still there")
			}
		})
	}
}
