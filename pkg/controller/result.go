package controller

import (
	"errors"
	"time"
)

// Result says when a key shall be reconciled again. The zero value means: when
// something adds it. A Result counts for errors, too; where it and an error
// both ask for a retry, the earlier one wins.
type Result struct {
	// Again asks for the next reconciliation at once: what was decided was out of date
	// when its turn came. It is neither a failure nor a success, so the back-off of a
	// later failure is what it would have been. With an error it does not count.
	Again bool
	// RequeueAfter is the time until the next look; zero for none.
	RequeueAfter time.Duration
	// WaitFor names what the key is waiting for. When one of them is woken (see
	// [Controller.Wake]) the key is reconciled at once and its back-off starts
	// anew. The list is replaced with each reconciliation.
	WaitFor []Dependency
}

// Dependency names something that a key can wait for, for example
// {"StorageClass", "fast"}.
type Dependency struct {
	Kind string
	Name string
}

// Terminal marks an error that no retry can fix: the key is not backed off,
// and is only looked at again when its [Result] says so or an object changes.
// Terminal(nil) is nil.
func Terminal(err error) error {
	if err == nil {
		return nil
	}
	return &terminalError{err}
}

// IsTerminal tells whether err, or an error that it wraps, was made by
// [Terminal].
func IsTerminal(err error) bool {
	var terminal *terminalError
	return errors.As(err, &terminal)
}

type terminalError struct{ cause error }

func (e *terminalError) Error() string { return e.cause.Error() }
func (e *terminalError) Unwrap() error { return e.cause }
