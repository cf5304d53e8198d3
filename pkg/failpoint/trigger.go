package failpoint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// Variable is the environment variable that chooses a failpoint.
const Variable = "CSI_PROVISIONER_FAILPOINT"

// The sides of a call.
const (
	before = "before"
	after  = "after"
)

// Trigger is a failpoint that has been chosen.
type Trigger struct {
	side  string
	point string
	at    int64
	end   func()

	passed atomic.Int64
}

// New returns the failpoint that a text names: before or after, the name of one of
// the Points, and which time counts, from 1, as in "after:CreateVolume:3". The
// empty text is none. At the failpoint end is called, which is not to return.
func New(text string, end func()) (*Trigger, error) {
	if text == "" {
		return &Trigger{}, nil
	}
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%s=%q: want side:point:count, such as after:CreateVolume:1", Variable, text)
	}
	side, point := parts[0], parts[1]
	if side != before && side != after {
		return nil, fmt.Errorf("%s=%q: the side is %q: use %s or %s", Variable, text, side, before, after)
	}
	if !slices.Contains(Points(), point) {
		return nil, fmt.Errorf("%s=%q: there is no point %q: known are %s", Variable, text, point, strings.Join(Points(), ", "))
	}
	at, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || at < 1 {
		return nil, fmt.Errorf("%s=%q: the count is %q: use a number from 1", Variable, text, parts[2])
	}
	return &Trigger{side: side, point: point, at: at, end: end}, nil
}

// pass notes that the program comes by one side of a point.
func (t *Trigger) pass(side, point string) {
	if t.side == side && t.point == point && t.passed.Add(1) == t.at {
		t.end()
	}
}
