package options

import (
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEnvironmentIsDescribed: what is read is what is described.
func TestEnvironmentIsDescribed(t *testing.T) {
	read := map[string]bool{}
	// An error is of no interest here.
	_, _ = Parse([]string{"--enable-capacity"}, func(name string) string {
		read[name] = true
		return ""
	}, io.Discard)
	var described []string
	for _, variable := range Environment() {
		described = append(described, variable.Name)
		if variable.Meaning == "" {
			t.Errorf("%s is not described", variable.Name)
		}
	}
	if diff := cmp.Diff(described, slices.Sorted(maps.Keys(read))); diff != "" {
		t.Errorf("described, and read (-described +read):\n%s", diff)
	}
}
