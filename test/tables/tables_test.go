package tables_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/test/tables"
)

type inner struct{ entries map[string]int }

type outer struct {
	empty, full map[int]bool
	behind      *inner
	list        []string
	itself      *outer
	deps        inner
	port        any
}

func TestNotEmpty(t *testing.T) {
	filled := inner{entries: map[string]int{"a": 1, "b": 2}}
	o := &outer{empty: map[int]bool{}, full: map[int]bool{1: true}, behind: &filled, list: []string{"x"}, deps: filled, port: filled}
	o.itself = o
	want := []string{"full: 1", "behind.entries: 2", "list: 1"}
	if diff := cmp.Diff(want, tables.NotEmpty(o, "deps")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if found := tables.NotEmpty(&outer{}); len(found) > 0 {
		t.Errorf("in nothing there is %q", found)
	}
}
