package main

import "os"

const (
	// terminationLog is the file in a container whose content Kubernetes shows as
	// the message of a container that has ended.
	terminationLog = "/dev/termination-log"
	// maxTermination is how much of it is shown, in bytes.
	maxTermination = 4096
)

// leaveMessage tells Kubernetes why the program ends. Where there is no such file,
// the program runs in no container, and whoever started it reads the log.
func leaveMessage(path string, reason error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return
	}
	message := reason.Error()
	_, _ = file.WriteString(message[:min(len(message), maxTermination)])
	_ = file.Close()
}
