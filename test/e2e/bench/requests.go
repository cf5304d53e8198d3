package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// request is one that the API server has answered.
type request struct {
	verb, resource, subresource string
	code                        int
	at                          time.Time
}

func (r request) succeeded() bool { return r.code < 300 }

// writesVolume reports whether the request has changed a claim or a PersistentVolume.
func (r request) writesVolume() bool {
	switch r.verb {
	case "create", "update", "patch", "delete":
		return r.succeeded() && (r.resource == volumes || r.resource == claims)
	}
	return false
}

// The resources that are counted.
const (
	volumes    = "persistentvolumes"
	claims     = "persistentvolumeclaims"
	events     = "events"
	configMaps = "configmaps"
	leases     = "leases"
)

// requestLog reads the API server's audit log while it is written.
type requestLog struct {
	file *os.File
	rest []byte // of a line that is not complete yet
	seen []request
}

func openRequestLog(path string) (*requestLog, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	return &requestLog{file: file}, nil
}

func (l *requestLog) close() { _ = l.file.Close() }

// restart forgets all requests so far.
func (l *requestLog) restart() error {
	if err := l.read(); err != nil {
		return err
	}
	l.seen = nil
	return nil
}

// read takes in what has been logged since.
func (l *requestLog) read() error {
	content, err := io.ReadAll(l.file)
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	content = append(l.rest, content...)
	for {
		line, rest, complete := bytes.Cut(content, []byte("\n"))
		if !complete {
			l.rest = bytes.Clone(content)
			return nil
		}
		r, err := parseRequest(line)
		if err != nil {
			return err
		}
		l.seen = append(l.seen, r)
		content = rest
	}
}

func parseRequest(line []byte) (request, error) {
	var entry struct {
		Verb           string    `json:"verb"`
		StageTimestamp time.Time `json:"stageTimestamp"`
		ObjectRef      struct {
			Resource    string `json:"resource"`
			Subresource string `json:"subresource"`
		} `json:"objectRef"`
		ResponseStatus struct {
			Code int `json:"code"`
		} `json:"responseStatus"`
	}
	if err := json.Unmarshal(line, &entry); err != nil {
		return request{}, fmt.Errorf("reading the audit log: %q: %w", line, err)
	}
	if entry.Verb == "" || entry.StageTimestamp.IsZero() {
		return request{}, fmt.Errorf("reading the audit log: %q: %w", line, errors.New("it is not a request"))
	}
	return request{
		verb: entry.Verb, resource: entry.ObjectRef.Resource, subresource: entry.ObjectRef.Subresource,
		code: entry.ResponseStatus.Code, at: entry.StageTimestamp,
	}, nil
}

// count returns the number of requests that match.
func (l *requestLog) count(match func(request) bool) int {
	n := 0
	for _, r := range l.seen {
		if match(r) {
			n++
		}
	}
	return n
}

// span returns the times of the first and the last request that match. The log is in the
// order of the answers.
func (l *requestLog) span(match func(request) bool) (first, last time.Time) {
	for _, r := range l.seen {
		if !match(r) {
			continue
		}
		if first.IsZero() {
			first = r.at
		}
		last = r.at
	}
	return first, last
}
