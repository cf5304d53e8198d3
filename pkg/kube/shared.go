package kube

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// shared lets many share the result of a slow read. Each gets one that began after it had
// asked.
type shared[T any] struct {
	get func(context.Context) (T, error)

	mu sync.Mutex
	// running is the read that has begun, waiting the one that begins when it is over.
	running, waiting *sharedRead[T]
}

type sharedRead[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// readTimeout bounds a read, which goes on when who asked for it first has given up.
const readTimeout = time.Minute

// next waits for a read that begins now or later.
func (s *shared[T]) next(ctx context.Context) (value T, err error) {
	r := s.join(context.WithoutCancel(ctx))
	select {
	case <-r.done:
		return r.value, r.err
	case <-ctx.Done():
		return value, fmt.Errorf("waiting for the list: %w", context.Cause(ctx))
	}
}

func (s *shared[T]) join(ctx context.Context) *sharedRead[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = &sharedRead[T]{done: make(chan struct{})}
		if s.running == nil {
			s.begin(ctx)
			return s.running
		}
	}
	return s.waiting
}

// begin starts the read that waits. It is called with the lock.
func (s *shared[T]) begin(ctx context.Context) {
	r := s.waiting
	s.running, s.waiting = r, nil
	go func() {
		reading, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		r.value, r.err = s.get(reading)
		close(r.done)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running = nil
		if s.waiting != nil {
			s.begin(ctx)
		}
	}()
}
