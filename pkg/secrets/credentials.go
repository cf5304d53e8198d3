package secrets

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Credentials are the content of a Secret. Whatever prints them (fmt with any
// verb, JSON, YAML, logr, slog) gets the names of the keys and nothing else:
// secrets.Credentials{password,username}. The one way to the values is [Credentials.Reveal].
//
// They cannot be changed. The zero value is empty.
type Credentials struct {
	// values is a closure because nothing can look into one. Methods alone do not
	// protect: fmt cannot call them on a field that is not exported, and prints
	// what it finds there by reflection.
	values func() map[string]string
}

// NewCredentials takes a copy of the data of a Secret.
func NewCredentials(data map[string][]byte) Credentials {
	values := make(map[string]string, len(data))
	for key, value := range data {
		values[key] = string(value)
	}
	return Credentials{values: func() map[string]string { return values }}
}

// Reveal returns a copy of the values, for a request to the driver and nothing
// else; nil if there are none.
func (c Credentials) Reveal() map[string]string {
	if c.values == nil || len(c.values()) == 0 {
		return nil
	}
	return maps.Clone(c.values())
}

// Keys returns the names of the values, sorted.
func (c Credentials) Keys() []string {
	return slices.Sorted(maps.Keys(c.Reveal()))
}

// Equal tells whether the values are the same; go-cmp uses it.
func (c Credentials) Equal(other Credentials) bool {
	return maps.Equal(c.Reveal(), other.Reveal())
}

// String shows the names of the keys.
func (c Credentials) String() string {
	return "secrets.Credentials{" + strings.Join(c.Keys(), ",") + "}"
}

// GoString is [Credentials.String], for printers that do not know
// [fmt.Formatter].
func (c Credentials) GoString() string { return c.String() }

// Format prints [Credentials.String] for every verb and flag.
func (c Credentials) Format(state fmt.State, _ rune) {
	// Printing has nowhere to report an error to.
	_, _ = io.WriteString(state, c.String())
}

// MarshalText is [Credentials.String], for JSON, YAML, XML and slog.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// MarshalLog is [Credentials.String], for logr.
func (c Credentials) MarshalLog() any { return c.String() }
