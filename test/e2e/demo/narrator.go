package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// narrator prints the story, from several goroutines.
type narrator struct {
	out   io.Writer
	begin time.Time
	mu    sync.Mutex
}

// chapter begins a new part of the story.
func (n *narrator) chapter(title string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(n.out, "\n==> %s\n", title)
}

// line tells one thing, with the time since the beginning.
func (n *narrator) line(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(n.out, "%6.1fs  %s\n", time.Since(n.begin).Seconds(), text)
}

// quote shows a text as it is, without its last line break and its blank lines
// at the ends.
func (n *narrator) quote(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		fmt.Fprintf(n.out, "         | %s\n", line)
	}
}
