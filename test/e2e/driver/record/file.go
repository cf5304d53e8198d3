package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// A line of the file: one of the fields is set.
type line struct {
	Begin *control.Call `json:"begin,omitempty"`
	End   *End          `json:"end,omitempty"`
	// Last is the highest number before the record was cleared.
	Last int64 `json:"last,omitempty"`
}

// load reads the file. A last line that a killed driver left unfinished is cut
// off.
func (r *Recorder) load() error {
	lines := bufio.NewReader(r.file)
	var whole int64
	for {
		content, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the record of calls: %w", err)
		}
		var l line
		if err := json.Unmarshal(bytes.TrimSpace(content), &l); err != nil {
			return fmt.Errorf("decoding the record of calls at byte %d: %w", whole, err)
		}
		r.replay(l)
		whole += int64(len(content))
	}
	if err := r.file.Truncate(whole); err != nil {
		return fmt.Errorf("repairing the record of calls: %w", err)
	}
	return nil
}

func (r *Recorder) replay(l line) {
	switch {
	case l.Begin != nil:
		r.add(*l.Begin)
		r.last = max(r.last, l.Begin.Seq)
	case l.End != nil:
		r.end(*l.End)
	default:
		r.last = max(r.last, l.Last)
	}
}

// write appends a line. A driver whose disk is full still serves; the failure
// is told when the record is closed or cleared.
func (r *Recorder) write(l line) {
	content, err := json.Marshal(l)
	if err == nil {
		_, err = r.file.Write(append(content, '\n'))
	}
	if err != nil && r.failed == nil {
		r.failed = fmt.Errorf("writing the record of calls: %w", err)
	}
}
