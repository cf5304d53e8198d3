package driver

import (
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// turns lets one call at a time work on a volume.
type turns struct {
	wait bool

	mu   sync.Mutex
	busy map[string]chan struct{} // closed when the call is done
}

func newTurns(wait bool) *turns {
	return &turns{wait: wait, busy: map[string]chan struct{}{}}
}

// take takes the turn for a volume. The function gives it back. An empty key
// needs no turn.
func (t *turns) take(stop <-chan struct{}, key string) (func(), error) {
	if key == "" {
		return func() {}, nil
	}
	for {
		ahead, mine := t.try(key)
		if ahead == nil {
			return mine, nil
		}
		if !t.wait {
			return nil, status.Errorf(codes.Aborted, "a call for %s is working", key)
		}
		select {
		case <-ahead:
		case <-stop:
			return nil, status.Error(codes.Unavailable, "the driver stops")
		}
	}
}

// try takes the turn, or returns the channel of the call that has it.
func (t *turns) try(key string) (ahead <-chan struct{}, mine func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ahead, busy := t.busy[key]; busy {
		return ahead, nil
	}
	done := make(chan struct{})
	t.busy[key] = done
	return nil, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.busy, key)
		close(done)
	}
}
